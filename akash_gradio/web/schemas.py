"""What the page's script sends, checked where it enters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from akash_gradio.compare.lanes import LETTERS
from akash_gradio.domain.chat import ChatRequest, Conversation, Default, Role, Sampling, Turn
from akash_gradio.domain.errors import UserError
from akash_gradio.web.continuation import INSTRUCTION, beginning

BODY_LIMIT_BYTES: Final = 16_000_000
"""Of one request: the whole chat travels with each message, its pictures too."""
ATTACHMENT_LIMIT: Final = 10
"""Of one message."""
MESSAGE_LIMIT_BYTES: Final = 1_000_000


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


_Name = Annotated[str, Field(min_length=1, max_length=200)]
_PICTURE: Final = r"^data:image/(jpeg|png|webp);base64,[A-Za-z0-9+/]+={0,2}$"


class AskedText(_Checked):
    """The text of a file that belongs to a message."""

    kind: Literal["text"]
    name: _Name
    text: str


class AskedPicture(_Checked):
    """A picture that belongs to a message. Never an address: the endpoint would fetch it."""

    kind: Literal["picture"]
    name: _Name
    url: Annotated[str, Field(pattern=_PICTURE)]


Attachment = Annotated[AskedText | AskedPicture, Field(discriminator="kind")]


class AskedTurn(_Checked):
    """One turn as the browser keeps it."""

    role: Literal["user", "assistant"]
    text: str
    attachments: Annotated[
        tuple[Attachment, ...], Field(max_length=ATTACHMENT_LIMIT, strict=False)
    ] = ()


Asked = TypeVar("Asked", bound=_Checked)
Unset = Literal["catalog", "endpoint"]
_Stop = Annotated[str, Field(min_length=1)]
_Penalty = Annotated[float, Field(ge=-2, le=2)]


class AskedSettings(_Checked):
    """The settings of a chat; a number is the visitor's own value, a word leaves it alone."""

    system: str = ""
    temperature: Annotated[float, Field(ge=0, le=2)] | Unset = "catalog"
    top_p: Annotated[float, Field(ge=0, le=1)] | Unset = "catalog"
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | Unset | None = "catalog"
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | Unset | None = "catalog"
    stop: Annotated[list[_Stop], Field(max_length=4)] | Unset = "catalog"
    presence_penalty: _Penalty | Unset = "catalog"
    frequency_penalty: _Penalty | Unset = "catalog"
    reasoning_effort: Annotated[str, Field(pattern=r"^[a-z]{2,20}$")] = "endpoint"
    stream: bool = True


class AskedReply(_Checked):
    """One message with the chat before it; the last turn is the visitor's."""

    model: Annotated[str, Field(min_length=1, max_length=300)]
    turns: Annotated[list[AskedTurn], Field(min_length=1, max_length=2000)]
    settings: AskedSettings = AskedSettings()


class AskedLane(AskedReply):
    """One lane of a comparison. endpoint: the alias that is to answer, None for any."""

    letter: Literal["A", "B", "C", "D"]
    endpoint: Annotated[str, Field(min_length=1, max_length=300)] | None = None


RunId = Annotated[str, Field(pattern=r"^[\w-]{16,64}$")]
"""Made by the page and not to be guessed: who knows it may stop the run's lanes."""


class AskedCompare(_Checked):
    """One question to several lanes, each with what was said in it before."""

    run: RunId
    lanes: Annotated[list[AskedLane], Field(min_length=1, max_length=len(LETTERS))]


class AskedStop(_Checked):
    """One lane of a running comparison is to end."""

    run: RunId
    letter: str


class AskedDiff(_Checked):
    """Two answers to be set beside each other."""

    a: Annotated[str, Field(max_length=MESSAGE_LIMIT_BYTES)]
    b: Annotated[str, Field(max_length=MESSAGE_LIMIT_BYTES)]


class AskedRender(_Checked):
    """Texts of a kept chat to be drawn again."""

    texts: Annotated[list[str], Field(max_length=200)]


def read_reply(body: bytes) -> ChatRequest:
    """The request that the page's JSON asks for. Raises UserError."""
    return _request(_validated(AskedReply, body))


def read_go_on(body: bytes) -> tuple[ChatRequest, str]:
    """Parse a request to continue the last answer, and return how that answer begins."""
    asked = _validated(AskedReply, body)
    *turns, last = asked.turns
    before = beginning(clean(last.text))
    if last.role != "assistant" or not before.strip():
        raise UserError("empty_message")
    begun = last.model_copy(update={"text": before})
    more = AskedTurn(role="user", text=INSTRUCTION)
    return _request(asked.model_copy(update={"turns": [*turns, begun, more]})), before


def read_compare(body: bytes) -> tuple[str, dict[str, ChatRequest]]:
    """The run's id, and what each lane asks, by its letter. Raises UserError.

    A lane is answered by its own model or not at all: a fallback would be compared in its name.
    """
    asked = _validated(AskedCompare, body)
    lanes: dict[str, ChatRequest] = {
        lane.letter: replace(_request(lane), endpoint=lane.endpoint, fallback=False)
        for lane in asked.lanes
    }
    if len(lanes) < len(asked.lanes):
        raise UserError(
            "invalid_request", {"detail": "lanes.letter: two lanes have the same letter"}
        )
    return asked.run, lanes


def read_stop(body: bytes) -> tuple[str, str]:
    """The run and the lane that is to end. Raises UserError."""
    asked = _validated(AskedStop, body)
    return asked.run, asked.letter


def read_diff(body: bytes) -> tuple[str, str]:
    """The two texts. Raises UserError."""
    asked = _validated(AskedDiff, body)
    return asked.a, asked.b


def _request(asked: AskedReply) -> ChatRequest:
    last = clean(asked.turns[-1].text)
    size = len(last.encode())
    if size > MESSAGE_LIMIT_BYTES:
        raise UserError(
            "message_too_long",
            {"size": _megabytes(size), "limit": _megabytes(MESSAGE_LIMIT_BYTES)},
            413,
        )
    turns = [_turn(turn) for turn in asked.turns]
    if asked.turns[-1].role != "user" or not _says(turns[-1]):
        raise UserError("empty_message")
    said = _in_turn(turn for turn in turns if _says(turn))
    return ChatRequest(
        model=asked.model,
        conversation=Conversation(turns=said, system=clean(asked.settings.system)),
        sampling=sampling_of(asked.settings),
        stream=asked.settings.stream,
    )


def _turn(asked: AskedTurn) -> Turn:
    """The turn as the model reads it: its files, each under its name, then the message."""
    files = [_file(one) for one in asked.attachments if isinstance(one, AskedText)]
    pictures = (one.url for one in asked.attachments if isinstance(one, AskedPicture))
    texts = [*files, asked.text] if asked.text.strip() or not files else files
    content = clean("\n\n".join(texts))
    return Turn(role=Role(asked.role), content=content, pictures=tuple(pictures))


def _file(asked: AskedText) -> str:
    name = re.sub(r'[\s"<>]+', " ", asked.name).strip()
    return f'<file name="{name}">\n{asked.text.strip()}\n</file>'


def _says(turn: Turn) -> bool:
    return bool(turn.content.strip() or turn.pictures)


def _in_turn(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """The same words with speakers that take turns, as strict chat templates ask.

    A question that was never answered stands before the next one, as one.
    """
    said: list[Turn] = []
    for turn in turns:
        if said and said[-1].role is turn.role:
            before = said.pop()
            both = [text for text in (before.content, turn.content) if text]
            pictures = before.pictures + turn.pictures
            said.append(Turn(role=turn.role, content="\n\n".join(both), pictures=pictures))
        else:
            said.append(turn)
    return tuple(said)


def read_render(body: bytes) -> list[str]:
    """The texts to be drawn. Raises UserError."""
    return _validated(AskedRender, body).texts


def _validated(kind: type[Asked], body: bytes) -> Asked:
    try:
        return kind.model_validate_json(_without_halves(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # Of a union pydantic also names the branch, in words that are no field's.
        fields = [str(part) for part in first["loc"] if re.fullmatch(r"\w{1,40}", str(part))]
        place = ".".join(fields)
        raise UserError(
            "invalid_request", {"detail": f"{place}: {first['msg']}" if place else first["msg"]}
        ) from None


def sampling_of(settings: AskedSettings) -> Sampling:
    """The settings as a request has them."""
    values = {field.name: getattr(settings, field.name) for field in fields(Sampling)}
    return Sampling(**{name: _state(value) for name, value in values.items()})


def _state(value: Any) -> Any:
    """A setting as `Sampling` has it: null and the two words of `Unset` leave it alone."""
    if value is None:
        return Default.ENDPOINT
    if value in ("catalog", "endpoint"):
        return Default(value)
    return tuple(value) if isinstance(value, list) else value


_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def _without_halves(body: bytes) -> bytes:
    r"""The JSON with U+FFFD for half characters (`\ud83d`): scripts write them, pydantic refuses.

    Rare: `JSON.stringify` escapes nothing but the halves. Whole pairs are joined.
    """
    if not _HALF.search(body):
        return body
    try:
        text = json.dumps(json.loads(body), ensure_ascii=False)
    except (ValueError, RecursionError):
        return body
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def clean(text: str) -> str:
    """The text without NUL, which many a server takes for its end; the rest is the visitor's."""
    return text.replace("\0", "")


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f}"
