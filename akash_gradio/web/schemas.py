"""Schemas of the requests that the page's scripts send, and their conversion to domain values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from akash_gradio.compare.lanes import LETTERS
from akash_gradio.compare.votes.store import Vote, parse_votes
from akash_gradio.domain.chat import ChatRequest, Conversation, Default, Role, Sampling, Turn
from akash_gradio.domain.errors import UserError
from akash_gradio.domain.size_limits import (
    ANSWER_CHARACTERS,
    ATTACHMENTS,
    CHAT_TEXT_CHARACTERS,
    JSON_VALUES,
    MESSAGE_BYTES,
    RENDERED_CHARACTERS,
    RENDERED_TEXTS,
    TURNS,
)
from akash_gradio.http.json_values import has_many_values
from akash_gradio.web.continuation import INSTRUCTION, drop_partial_word

Body = TypeVar("Body", bound=BaseModel)
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_PICTURE: Final = r"^data:image/(jpeg|png|webp);base64,[A-Za-z0-9+/]+={0,2}$"


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TextAttachment(_Schema):
    """The text of a file that belongs to a message."""

    kind: Literal["text"]
    name: _Name
    text: str


class PictureAttachment(_Schema):
    """A picture that belongs to a message. Never an address: the endpoint would fetch it."""

    kind: Literal["picture"]
    name: _Name
    url: Annotated[str, Field(pattern=_PICTURE)]


Attachment = Annotated[TextAttachment | PictureAttachment, Field(discriminator="kind")]


class TurnSchema(_Schema):
    """One turn as the browser stores it."""

    role: Literal["user", "assistant"]
    text: str
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=ATTACHMENTS, strict=False)] = ()


DefaultName = Literal["catalog", "endpoint"]
_Stop = Annotated[str, Field(min_length=1)]
_Penalty = Annotated[float, Field(ge=-2, le=2)]


class SettingsSchema(_Schema):
    """The settings of a chat.

    A parameter is the visitor's own value, or the name of the default that applies. An empty
    number (null) means the endpoint's default.
    """

    system: str = ""
    temperature: Annotated[float, Field(ge=0, le=2)] | DefaultName = "catalog"
    top_p: Annotated[float, Field(ge=0, le=1)] | DefaultName = "catalog"
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | DefaultName | None = "catalog"
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | DefaultName | None = "catalog"
    stop: Annotated[list[_Stop], Field(max_length=4)] | DefaultName = "catalog"
    presence_penalty: _Penalty | DefaultName = "catalog"
    frequency_penalty: _Penalty | DefaultName = "catalog"
    reasoning_effort: Annotated[str, Field(pattern=r"^[a-z]{2,20}$")] = "endpoint"
    stream: bool = True


class ReplyRequest(_Schema):
    """A message with the chat before it; the last turn is the visitor's."""

    model: Annotated[str, Field(min_length=1, max_length=300)]
    turns: Annotated[list[TurnSchema], Field(min_length=1, max_length=TURNS)]
    settings: SettingsSchema = SettingsSchema()


class LaneSchema(ReplyRequest):
    """One lane of a comparison.

    Attributes:
        letter: Identifies the lane.
        endpoint: The alias of the only endpoint that may answer, None for any.
    """

    letter: Literal["A", "B", "C", "D"]
    endpoint: Annotated[str, Field(min_length=1, max_length=300)] | None = None


RunId = Annotated[str, Field(pattern=r"^[\w-]{16,64}$")]
"""Unguessable, since it is the only key to a comparison or run."""


class CompareRequest(_Schema):
    """One prompt to several lanes, each with its own conversation before it."""

    run: RunId
    lanes: Annotated[list[LaneSchema], Field(min_length=1, max_length=len(LETTERS))]


class StopRequest(_Schema):
    """A request to stop one lane of a running comparison."""

    run: RunId
    letter: str


class DiffRequest(_Schema):
    """Two answers to compare."""

    a: Annotated[str, Field(max_length=MESSAGE_BYTES)]
    b: Annotated[str, Field(max_length=MESSAGE_BYTES)]


class RenderRequest(_Schema):
    """Texts of a stored chat to render."""

    texts: Annotated[list[str], Field(max_length=RENDERED_TEXTS)]


def parse_body(schema: type[Body], body: bytes) -> Body:
    """Validate a JSON body.

    Raises:
        UserError: `invalid_request`, with the path of the first wrong field. It contains nothing
            of what was sent.
    """
    _check_structure(body)
    try:
        return schema.model_validate_json(_replace_lone_surrogates(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # For a union pydantic also names the branch, which is no field's name.
        path = ".".join(str(part) for part in first["loc"] if re.fullmatch(r"\w{1,40}", str(part)))
        detail = f"{path}: {first['msg']}" if path else first["msg"]
        raise UserError("invalid_request", {"detail": detail}) from None


def parse_reply(body: bytes) -> ChatRequest:
    """Parse the body of `page/reply`.

    Raises:
        UserError: `invalid_request`, `message_too_long` or `empty_message`.
    """
    return _chat_request(parse_body(ReplyRequest, body))


def parse_continuation(body: bytes) -> tuple[ChatRequest, str]:
    """Parse the body of `page/continue`, whose last turn is the answer to continue.

    Returns:
        The request, and the beginning of the answer as the model sees it.

    Raises:
        UserError: `invalid_request`, or `empty_message` if there is no answer to continue.
    """
    request = parse_body(ReplyRequest, body)
    *turns, last = request.turns
    beginning = drop_partial_word(remove_nul(last.text))
    if last.role != "assistant" or not beginning.strip():
        raise UserError("empty_message")
    _check_length(len(beginning), ANSWER_CHARACTERS)
    answer = last.model_copy(update={"text": beginning})
    instruction = TurnSchema(role="user", text=INSTRUCTION)
    continued = request.model_copy(update={"turns": [*turns, answer, instruction]})
    return _chat_request(continued), beginning


def parse_compare(body: bytes) -> tuple[str, dict[str, ChatRequest]]:
    """Parse the body of `page/compare`.

    A lane never falls back to another model: that model would be compared under its name.

    Returns:
        The id of the comparison, and each lane's request by its letter.

    Raises:
        UserError: `invalid_request`, `message_too_long` or `empty_message`.
    """
    request = parse_body(CompareRequest, body)
    lanes: dict[str, ChatRequest] = {
        lane.letter: replace(_chat_request(lane), endpoint=lane.endpoint, fallback=False)
        for lane in request.lanes
    }
    if len(lanes) < len(request.lanes):
        detail = "lanes.letter: two lanes have the same letter"
        raise UserError("invalid_request", {"detail": detail})
    return request.run, lanes


def parse_stop(body: bytes) -> tuple[str, str]:
    """Parse the body of `page/compare/stop` into the comparison's id and the lane's letter."""
    request = parse_body(StopRequest, body)
    return request.run, request.letter


def parse_diff(body: bytes) -> tuple[str, str]:
    """Parse the body of `page/compare/diff` into two texts."""
    request = parse_body(DiffRequest, body)
    return request.a, request.b


def parse_render(body: bytes) -> list[str]:
    """Parse the body of `page/render` into the texts to render.

    Raises:
        UserError: `invalid_request` or `chat_too_long`.
    """
    texts = parse_body(RenderRequest, body).texts
    _check_length(sum(map(len, texts)), RENDERED_CHARACTERS)
    return texts


def _chat_request(request: ReplyRequest) -> ChatRequest:
    size = len(remove_nul(request.turns[-1].text).encode())
    if size > MESSAGE_BYTES:
        facts = {"size": _megabytes(size), "limit": _megabytes(MESSAGE_BYTES)}
        raise UserError("message_too_long", facts, 413)
    turns = [_turn(turn) for turn in request.turns]
    length = len(request.settings.system) + sum(len(turn.content) for turn in turns)
    _check_length(length, CHAT_TEXT_CHARACTERS)
    if request.turns[-1].role != "user" or _is_empty(turns[-1]):
        raise UserError("empty_message")
    alternating = _merge_same_role(turn for turn in turns if not _is_empty(turn))
    system = remove_nul(request.settings.system)
    return ChatRequest(
        model=request.model,
        conversation=Conversation(turns=alternating, system=system),
        sampling=build_sampling(request.settings),
        stream=request.settings.stream,
    )


def parse_vote_body(body: bytes) -> tuple[Vote, ...]:
    """Parse `{"votes": […]}`.

    Raises:
        UserError: `invalid_request`.
    """
    _check_structure(body)
    try:
        items: Any = json.loads(body)["votes"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError("invalid_request", {"detail": '{"votes": […]}'}) from None
    return parse_vote_list(items)


def parse_vote_list(items: Any) -> tuple[Vote, ...]:
    """Parse votes from decoded JSON.

    Raises:
        UserError: `invalid_request`.
    """
    try:
        return parse_votes(items)
    except (ValueError, TypeError) as error:
        raise UserError("invalid_request", {"detail": f"votes: {error}"}) from None


def _check_structure(body: bytes) -> None:
    """Refuse JSON of very many values, before a parser makes an object of each.

    Raises:
        UserError: `too_many_values`.
    """
    if has_many_values(body):
        raise UserError("too_many_values", {"limit": f"{JSON_VALUES:,}"}, 413)


def _check_length(characters: int, limit: int) -> None:
    if characters > limit:
        raise UserError("chat_too_long", {"limit": _megabytes(limit)}, 413)


def _turn(turn: TurnSchema) -> Turn:
    """Return the turn as the model reads it: each file under its name, then the message."""
    files = [_file_text(item) for item in turn.attachments if isinstance(item, TextAttachment)]
    pictures = (item.url for item in turn.attachments if isinstance(item, PictureAttachment))
    texts = [*files, turn.text] if turn.text.strip() or not files else files
    content = remove_nul("\n\n".join(texts))
    return Turn(role=Role(turn.role), content=content, pictures=tuple(pictures))


def _file_text(attachment: TextAttachment) -> str:
    name = re.sub(r'[\s"<>]+', " ", attachment.name).strip()
    return f'<file name="{name}">\n{attachment.text.strip()}\n</file>'


def _is_empty(turn: Turn) -> bool:
    return not (turn.content.strip() or turn.pictures)


def _merge_same_role(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Merge consecutive turns of one role: strict chat templates require alternating roles.

    A prompt that was never answered precedes the next one in the same turn.
    """
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role is turn.role:
            previous = merged.pop()
            contents = [text for text in (previous.content, turn.content) if text]
            pictures = previous.pictures + turn.pictures
            merged.append(Turn(role=turn.role, content="\n\n".join(contents), pictures=pictures))
        else:
            merged.append(turn)
    return tuple(merged)


def build_sampling(settings: SettingsSchema) -> Sampling:
    """Return the sampling parameters of a chat request."""
    values = {field.name: getattr(settings, field.name) for field in fields(Sampling)}
    return Sampling(**{name: _parameter(value) for name, value in values.items()})


def _parameter(value: Any) -> Any:
    if value is None:
        return Default.ENDPOINT
    if value in ("catalog", "endpoint"):
        return Default(value)
    return tuple(value) if isinstance(value, list) else value


_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def _replace_lone_surrogates(body: bytes) -> bytes:
    r"""Replace lone surrogates (`\ud83d`) in the JSON by U+FFFD; pydantic rejects them.

    `JSON.stringify` escapes nothing but lone surrogates, so this is rare. Pairs are joined.
    """
    if not _SURROGATE.search(body):
        return body
    try:
        text = json.dumps(json.loads(body), ensure_ascii=False)
    except (ValueError, RecursionError):
        return body
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def remove_nul(text: str) -> str:
    """Return the text without NUL, which many servers treat as its end."""
    return text.replace("\0", "")


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f}"
