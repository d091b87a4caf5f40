"""What every part of the house speaks: plain values, standard library only."""
