"""The registry of the page's texts, in one file so that they can be translated.

Values in braces are filled with `str.format`. `PAGE`, `CHECK` and `SETS` also go to the browser.
Texts of errors are keyed by the error's code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from akash_gradio.domain.failure_kinds import FailureKind

PAGE: Final[Mapping[str, str]] = {
    "title": "Akash Gradio",
    "new_chat": "New chat",
    "models": "Models",
    "check": "Check endpoints",
    "menu": "Menu",
    "close": "Close",
    # ── chat list ──
    "history_empty": "Your chats appear here. They are stored in this browser only.",
    "history_off": "This browser blocks storage for this page. "
    "Chats are lost when you close the tab.",
    "history_full": "Browser storage is full. Delete old chats to save this one.",
    "history_unreadable": "This chat could not be loaded from browser storage.",
    "pinned": "Pinned",
    "today": "Today",
    "yesterday": "Yesterday",
    "week": "This week",
    "hide_sidebar": "Hide sidebar",
    "search_chats": "Search chats",
    "search_titles": "In titles",
    "search_texts": "In messages",
    "search_none": "No chats match your search.",
    "more": "More",
    "pin": "Pin",
    "unpin": "Unpin",
    "rename": "Rename",
    "duplicate": "Duplicate",
    "delete": "Delete",
    "chat_title": "Chat title",
    "copy_of": "{title} (copy)",
    "deleted": "Chat deleted",
    "undo": "Undo",
    "deleted_elsewhere": "This chat was deleted in another tab.",
    "merged": "This chat was also changed in another tab. Both changes were merged.",
    "forked": "This chat was changed differently in another tab. Your version is now a copy.",
    "newer_store": "Your chats were saved by a newer version of this page. "
    "Reload the page to see them.",
    "folder_move": "Move to folder",
    "folder_new": "New folder",
    "folder_put": "Move",
    "folder_none": "Remove from folder",
    "folder_name": "Folder name",
    "export_markdown": "Export as Markdown",
    "export_html": "Export as HTML",
    "export_json": "Export as JSON",
    "export_no_answer": "(no answer: {why})",
    "export_picture": "Picture: {name} ({width} × {height})",
    "system_prompt": "System prompt",
    "assistant": "Model",
    "all_chats": "all chats",
    # ── the dialog about stored chats ──
    "your_chats": "Your chats",
    "stored_where": "Chats are stored in this browser only. The server receives the open chat "
    "with each message and does not store it.",
    "one_chat": "1 chat",
    "many_chats": "{count} chats",
    "storage_used": "{used} of {quota} of browser storage used",
    "storage_may_clear": "This browser may clear stored chats when disk space is low.",
    "storage_persist": "Keep them until I delete them",
    "storage_persisted": "Chats are kept until you delete them.",
    "storage_not_persisted": "This browser may clear stored chats at any time. "
    "Export the chats you want to keep.",
    "largest": "Largest chats",
    "free_space": "Free up space",
    "free_space_how": "Export all chats, then delete the largest ones. Until then, the open chat "
    "is not saved and is lost when you close this tab.",
    "export_all": "Export all",
    "import_file": "Import file",
    "import_formats": "You can import files exported from this page or from Akash Chat.",
    "imported_one": "1 chat imported.",
    "imported_many": "{count} chats imported.",
    "imported_prompts": "Saved prompts imported: {count}.",
    "import_known": "Skipped because they are already here: {count}.",
    "import_skipped": "Skipped because they could not be read: {count}.",
    "import_json": "This file is not valid JSON. "
    "Choose a file exported from this page or from Akash Chat.",
    "import_newer": "This file was exported by a newer version of this page. "
    "Reload the page and try again.",
    "import_unknown": "This file contains no chats in a supported format. "
    "Choose a file exported from this page or from Akash Chat.",
    "import_error": "Chat {chat} ({title}): {why}",
    "import_no_messages": "it has no messages.",
    "import_no_text": "message {at} has no text.",
    "import_bad_role": "message {at} has an unknown role.",
    "private_mode": "Private mode",
    "private_mode_what": "New chats, comparisons, saved prompts and sets, and votes are deleted "
    "when you close the page. Data on the server is not affected: runs of prompt sets stay until "
    "you delete them, and votes stay if the operator collects them.",
    "private_mode_on": "Private mode: chats are deleted when you close this tab.",
    "private_mode_hidden": "Stored chats hidden in private mode: {count}.",
    "delete_all": "Delete all chats",
    "delete_all_sure": "Delete all {count} permanently",
    "all_deleted": "All chats deleted.",
    # ── keyboard shortcuts ──
    "shortcuts": "Keyboard shortcuts",
    "key_focus": "Go to the message box",
    "key_stop": "Stop the answer",
    "key_regenerate": "Regenerate the last answer",
    "key_edit": "Edit your last message",
    "key_copy": "Copy the last answer",
    "key_model": "Choose a model",
    "key_sidebar": "Show or hide the sidebar",
    "key_sheet": "Show this list",
    "key_line": "New line in a message",
    "theme": "Theme",
    "theme_system": "System",
    "theme_light": "Light",
    "theme_dark": "Dark",
    # ── models ──
    "choose_model": "Choose a model",
    "search_models": "Search models",
    "no_match": "No models match “{query}”.",
    "clear_search": "Clear search",
    "one_model": "1 model",
    "many_models": "{count} models",
    "some_models": "{shown} of {count} models",
    "sort": "Sort by",
    "sort_served": "Ready first",
    "sort_name": "Name",
    "sort_context": "Longest context",
    "filter_all": "All",
    "filter_ready": "Ready",
    "filter_reasoning": "Reasoning",
    "filter_vision": "Vision",
    "no_models": "No endpoint serves a model yet.",
    "hidden_one": "1 model unavailable",
    "hidden_many": "{count} models unavailable",
    "unknown_model": "The model “{model}” is not available here. Choose another one.",
    "down_since": "Down since {time}",
    # ── chat ──
    "settings": "Settings",
    "message": "Message",
    "message_to": "Message {model}",
    "send": "Send",
    "stop": "Stop",
    "send_hint": "Enter to send, Shift+Enter for a new line",
    "you": "You",
    "copy": "Copy",
    "copied": "Copied",
    "copy_failed": "The browser blocked copying. Select the text and copy it.",
    "regenerate": "Regenerate",
    "regenerate_with": "Regenerate with another model",
    "continue_answer": "Continue",
    "continue_hint": "Continue this answer from where it stopped",
    "continued": "continued",
    "elsewhere": "in progress in another tab",
    "edit": "Edit",
    "edit_answer": "Edit answer",
    "edited": "edited by you",
    "save": "Save",
    "save_and_send": "Save and send",
    "branch": "Branch from here",
    "turn_deleted": "Message deleted",
    "cancel": "Cancel",
    "previous_version": "Previous version",
    "next_version": "Next version",
    "thinking": "Thinking…",
    "thought": "Thought for {seconds} s",
    "thought_tokens": "Thought for {seconds} s · {tokens} tokens",
    "reasoning": "Reasoning",
    "waiting": "Waiting for the first token",
    "waiting_s": "Waiting for the first token · {seconds} s",
    "trying_another": "{endpoint} did not respond. Trying another endpoint",
    "trying_again": "{endpoint} did not respond. Retrying in {seconds} s",
    "queued": "Position {position} in the queue",
    "starting": "The model is starting. Your message will be sent when it is ready.",
    "stopped": "stopped",
    "busy": "An answer is in progress. Stop it first.",
    "empty_start": "What would you like to ask?",
    "details": "Details",
    "try_again": "Try again",
    "to_the_end": "Go to the latest message",
    "earlier": "Show earlier messages",
    "answer_done": "{model} answered: {text}",
    "answer_began": "{model} is answering.",
    "too_long": "This message is {size} MB; the limit is {limit} MB. Shorten it and send it again.",
    "still_loading": "Still loading. If the page stays empty, allow JavaScript and reload it. "
    "If JavaScript is allowed, a proxy or firewall may be blocking the page's scripts.",
    "offline_title": "Can't reach the server",
    "offline_hint": "Check your connection and that the server is running. Your message is kept.",
    "offline_badge": "Server unreachable",
    "custom": "custom",
    "defaults": "defaults",
    "with_system": "system prompt",
    "not_streamed": "not streamed",
    "provider_default": "{name}: provider default",
    "open_receipt": "Show details",
    # ── API keys of visitors ──
    "own_key": "Your API key",
    "own_key_on": "Using your API key",
    "own_key_hint": "Answers are billed to this key. It is stored in this tab until you close it. "
    "The server uses it only while it answers you, and does not store it.",
    "own_key_field": "API key",
    "own_key_endpoint": "Endpoint",
    "own_key_other": "Another URL…",
    "own_key_address": "Base URL",
    "own_key_save": "Use key",
    "own_key_remove": "Remove key",
    "sign_out": "Sign out",
    # ── context window ──
    "context_title": "Context window",
    "context_label": "Context: {used} of {limit} tokens",
    "context_label_estimated": "Context: about {used} of {limit} tokens (estimated)",
    "context_system": "System prompt",
    "context_history": "Earlier messages",
    "context_message": "Your message",
    "context_room": "Reserved for the answer",
    "context_free": "Free",
    "context_of": "{used} of {limit}",
    "context_estimated": "Estimated from the length of the text. The estimate improves with each "
    "answer for which the endpoint reports its token count.",
    "context_learned": "Estimated from token counts that this model's endpoints reported.",
    "context_left_one": "The oldest message will not be sent: "
    "this chat is longer than the context of {model} ({limit} tokens).",
    "context_left_many": "The oldest {count} messages will not be sent: "
    "this chat is longer than the context of {model} ({limit} tokens).",
    "context_left_over": "Even without the oldest {count} messages, this is longer than the "
    "context of {model} ({limit} tokens). Shorten it, or choose a model with a longer context.",
    "context_over": "This is longer than the context of {model} ({limit} tokens). "
    "The endpoint may reject it.",
    "context_longer": "Switch to {model} ({limit})",
    "context_send_all": "Send all messages",
    "context_drop": "Leave out the oldest",
    "context_line": "Messages above this line are not sent",
    "left_out_one": "1 message left out",
    "left_out_many": "{count} messages left out",
    "use_model": "Switch to {model}",
    # ── files ──
    "attach": "Attach files",
    "attach_hint": "Attach text, code, PDFs or pictures. You can also paste or drop files.",
    "drop_here": "Drop files here to attach them",
    "file_added": "{name} attached.",
    "file_remove": "Remove {name}",
    "file_reading": "Reading {name}…",
    "file_wait": "A file is still being read. Send the message when it is ready.",
    "file_cost": "≈ {tokens} tokens",
    "file_too_many": "{name} was not attached: a message can have up to {limit} files.",
    "file_text_long": "{name} was not attached: it is {size} MB, and text files can be up to "
    "{limit} MB.",
    "file_long": "{name} was not attached: it is {size} MB, and files can be up to {limit} MB.",
    "file_unknown": "{name} was not attached: the file type is not supported. "
    "Attach text, a PDF or a picture.",
    "file_empty": "{name} was not attached: it is empty.",
    "file_error": "{name} was not attached: {why}",
    "file_cut": "Only the first {read} of {pages} pages of {name} were attached.",
    "pasted_name": "pasted text{number}.txt",
    "pasted": "The long text was attached as a file.",
    "pasted_inline": "Insert as text",
    "no_vision": "{model} can't read pictures. Remove them, or choose a model with vision.",
    "pictures_left_out": "Pictures in earlier messages are not sent: {model} can't read pictures.",
    "effort": "Reasoning effort",
    "effort_default": "Effort",
    "effort_is": "Effort: {effort}",
    "diagram": "Diagram",
    "diagram_code": "Code",
    "diagram_alt": "Diagram: {text}",
    "diagram_larger": "Enlarge the diagram",
    "diagram_invalid": "This diagram has a syntax error: {why}",
    "diagram_large": "This diagram is too large to draw.",
    "diagram_slow": "This diagram took too long to draw.",
    # ── saved prompts ──
    "prompts": "Saved prompts",
    "prompts_title": "Saved prompts (or type / in an empty message)",
    "prompts_system": "Choose a system prompt",
    "prompts_search": "Search prompts",
    "prompts_empty": "No saved prompts yet. Save the prompts you use often; they are stored in "
    "this browser only. A word in double braces, such as {{language}}, becomes a field to fill in.",
    "prompts_full": "Browser storage is full. The prompt was not saved.",
    "prompt_new": "New prompt",
    "prompt_name": "Name",
    "prompt_text": "Prompt",
    "prompt_hint": "A word in double braces, such as {{language}}, becomes a field to fill in.",
    "prompt_save": "Save",
    "prompt_insert": "Insert",
    "prompt_deleted": "“{name}” deleted.",
    "prompt_nothing": "There is no system prompt to save.",
    # ── settings, as they are named below an answer ──
    "set_temperature": "temperature",
    "set_top_p": "top_p",
    "set_max_tokens": "max tokens",
    "set_seed": "seed",
    "set_stop": "stop",
    "set_presence_penalty": "presence penalty",
    "set_frequency_penalty": "frequency penalty",
    "set_reasoning_effort": "effort",
    # ── comparing ──
    "tick": "Compare",
    "untick": "Clear selection",
    "ticked_one": "1 model selected. Select another one to compare",
    "ticked_go": "Compare {count} models",
    "ticked_most": "You can compare up to 4 models at once.",
    "compare_this": "Compare with other models",
    "compare": "Compare",
    "lanes": "Lanes",
    "lane": "Lane {letter}",
    "lane_model": "Model of lane {letter}",
    "lane_settings": "Settings of lane {letter}",
    "lane_left": "Move lane {letter} left",
    "lane_right": "Move lane {letter} right",
    "lane_remove": "Remove lane {letter}",
    "lane_removed": "Lane {letter} removed",
    "lane_add": "Add lane",
    "lane_failed": "failed",
    "stop_lane": "Stop lane {letter}",
    "ask_lane": "Send to this lane too",
    "retry_lane": "Retry lane {letter}",
    "stop_all": "Stop all",
    "stop_failed": "This lane can't be stopped on its own: it runs on another replica.",
    "continue_with": "Continue with {model}",
    "model_gone": "{model} (unavailable)",
    "choose_models": "Choose a model for every lane first.",
    "empty_answer": "The answer is empty.",
    "shared_settings": "Settings for all lanes",
    "shared_brief": "shared",
    "own_settings": "custom settings",
    "use_shared": "Use the settings for all lanes",
    "lane_endpoint": "Endpoint",
    "any_endpoint": "Any endpoint",
    "at_endpoint": "on {endpoint}",
    "compare_message": "Send the same prompt to all lanes",
    "compare_send": "Send to all lanes",
    "compare_hint": "Enter to send to all lanes at the same time",
    "compare_new": "New",
    "compare_cleared": "Comparison cleared.",
    "compare_replaced": "The previous comparison was replaced.",
    "compare_without_files": "The files of this message stay in the chat. "
    "The comparison uses its text only.",
    "compare_began": "Prompt sent to all lanes.",
    "compare_done": "All {count} lanes have answered.",
    "compare_done_failed": "{failed} of {count} lanes failed; the others have answered.",
    "race": "Speed of each lane",
    "fastest": "best of all lanes",
    "blind": "Blind",
    "blind_hint": "Hide model names and speed until you vote; the lanes are shuffled",
    "blind_model": "Model {letter}",
    "blind_failed": "This lane failed.",
    "blind_next": "The next prompt starts a blind round.",
    "sync": "Scroll together",
    "sync_hint": "Scroll all lanes at the same time",
    "differences": "Differences",
    "diff_side": "Side {side}",
    "diff_common": "{share} % in common",
    "diff_only": "only here",
    "diff_number": "different number",
    "copy_link": "Copy link",
    "report": "Report",
    "report_title": "Comparison",
    "link_too_long": "The prompt is too long for a link. Shorten it, or share it separately.",
    "link_copied": "Link copied. It contains the models, the prompt and the settings.",
    "link_filled": "This link filled in the lanes and the prompt. "
    "Nothing is sent until you press Send.",
    "vote": "Vote",
    "vote_question": "Which answer is better?",
    "vote_question_many": "Which answer is best?",
    "vote_better": "{letter} is better",
    "vote_best": "{letter} is best",
    "vote_tie": "Tie",
    "vote_both_bad": "Both are bad",
    "vote_all_bad": "All are bad",
    "vote_thanks": "Vote saved.",
    "vote_kept_here": "The server could not save this vote. It was saved in this browser.",
    "votes_open": "View ranking",
    "ranking": "Ranking",
}
"""Texts of the chat and the comparison."""


SETS: Final[Mapping[str, str]] = {
    "title": "Prompt sets",
    "lead": "Run many prompts against several models, check the answers, and download a report.",
    "prompts": "Prompts",
    "paste": "One prompt per line. Separate prompts of several lines with a line of ---.",
    "open_file": "Open file",
    "file_hint": "CSV, JSON Lines, TOML or text, up to 10,000 prompts. Columns: prompt, id, "
    "system, contains, regex, json, max_length, not_empty.",
    "from_chat": "Use this chat's prompts",
    "clear_all": "Clear",
    "read_one": "1 prompt",
    "read": "{count} prompts",
    "with_checks": "{count} with checks",
    "models": "Models",
    "model": "Model",
    "model_gone": "{model} (unavailable)",
    "add_candidate": "Add model",
    "copy_candidate": "Duplicate this model",
    "remove_candidate": "Remove this model",
    "own": "Settings for this model",
    "as_all": "as for all models",
    "endpoint": "Endpoint",
    "any_endpoint": "Any endpoint",
    "parameters": "Settings for all models",
    "temperature": "Temperature",
    "temperature_hint": "Separate several values with commas, such as 0.2, 0.9: one lane for each",
    "top_p": "Top P",
    "seed": "Seed",
    "presence_penalty": "Presence penalty",
    "frequency_penalty": "Frequency penalty",
    "stop_at": "Stop sequences",
    "stop_how": "one per line",
    "reasoning_effort": "Effort",
    "effort_default": "provider default",
    "model_default": "model default",
    "repeats": "Repeats",
    "max_tokens": "Max tokens",
    "no_limit": "no limit",
    "system": "System prompt",
    "system_hint": "for prompts without their own",
    "demand": "Every answer must contain",
    "demand_hint": "optional",
    "forecast_calls": "{calls} calls: {what}",
    "times": "{count} times",
    "lane_one": "1 lane",
    "lane_many": "{count} lanes",
    "forecast_time": "about {time}",
    "forecast_tokens": "about {tokens_in} tokens in, {tokens_out} out",
    "unpriced": "Price unknown for {models}.",
    "unserved": "No endpoint serves {models} right now.",
    "start": "Start",
    "start_calls": "Start {calls} calls",
    "need_prompts": "Enter prompts or open a file first.",
    "need_models": "Choose a model.",
    "wrong_number": "{name}: enter a number from {low} to {high}.",
    "replaced": "Prompts replaced.",
    "cleared": "Prompts cleared.",
    "no_text": "{name} is not a text file.",
    "without_files": "Files attached to this chat's messages are not included.",
    "save_set": "Save set",
    "saved_sets": "Saved sets",
    "rename_set": "Rename set",
    "rename_it": "Rename",
    "set_name": "Name",
    "save": "Save",
    "set_saved": "“{name}” saved in this browser.",
    "set_replaced": "“{name}” replaced.",
    "set_deleted": "“{name}” deleted.",
    "set_name_taken": "Another set is called “{name}”. Choose another name.",
    "sets_full": "Browser storage is full. Delete a saved set, then save again.",
    "sets_many": "You can save up to {limit} sets. Delete one, then save again.",
    "earlier": "Your runs",
    "none_yet": "No runs yet. The runs you start in this browser are listed here.",
    "not_kept": "This server does not store runs: they are lost when it restarts. "
    "Download the report to keep the results.",
    "new": "New set",
    "pause": "Pause",
    "resume": "Continue",
    "stop": "Stop",
    "report": "Report",
    "retry": "Retry {count} failed calls",
    "retry_one": "Retry 1 failed call",
    "calls": "{count} calls",
    "delete": "Delete",
    "delete_sure": "Delete permanently",
    "run_deleted": "Run and answers deleted.",
    "waiting": "waiting",
    "running": "running",
    "paused": "paused",
    "stopped": "stopped",
    "done": "done",
    "of": "{done} of {total}",
    "failed": "{count} failed",
    "left": "about {time} left",
    "lane": "Lane",
    "answered": "Answered",
    "passed": "Checks passed",
    "first_token": "First token",
    "speed": "Speed",
    "cost": "Cost",
    "prompt": "Prompt",
    "repeat": "repeat {count}",
    "open_row": "Compare the answers to this prompt",
    "row_before": "Previous prompt",
    "row_after": "Next prompt",
    "row_of": "{row} of {total}",
    "pending": "not run yet",
    "empty": "The answer is empty.",
    "check_passed": "passed",
    "check_failed": "failed",
    "reasoning": "Reasoning",
    "receipt": "Receipt",
    "page": "{first} to {last} of {total}",
    "previous": "Previous rows",
    "next": "Next rows",
    "compare_with": "Compare with an earlier run",
    "no_other_run": "None",
    "changed": "{count} cells changed",
    "one_changed": "1 cell changed",
    "unchanged": "Nothing changed.",
    "before": "before",
    "now": "now",
    "change_prompt": "prompt changed",
    "change_answer": "answer changed",
    "change_outcome": "outcome changed",
    "change_checks": "checks changed",
    "change_new": "new",
    "change_gone": "removed",
    "report_contents": "The report contains prompts, answers with their reasoning, settings, "
    "receipts with endpoint names, votes and versions. It contains no URLs or keys of endpoints.",
    "download": "Download",
    "preview": "Report preview",
    "preview_cut": "… The download contains the complete report.",
    "back": "Compare",
    "failed_run": "The run could not be saved: {reason}",
    "too_large_run": "The run was stopped at the largest size that the server stores.",
}
"""Texts of prompt sets and their runs."""


RANKING: Final[Mapping[str, str]] = {
    "none": "No votes yet. Compare two models and vote for the better answer.",
    "start": "Compare models",
    "one_vote": "1 vote",
    "votes": "{count} votes",
    "kept_here": "Votes of all visitors are counted.",
    "kept_in_browser": "This server does not store votes: only the votes of this browser "
    "are counted.",
    "left_out": "{count} more lanes have too few votes to be shown.",
    "place": "Rank",
    "model": "Model",
    "rating": "Rating",
    "interval": "95 % interval",
    "counts": "Votes",
    "record": "{wins} won, {losses} lost, {ties} tied",
    "unconnected": "No votes compare {a} and {b} yet.",
    "too_close": "No clear winner between {a} and {b} yet.",
    "more": "No clear winner between {a} and {b} yet: about {count} more votes needed.",
    "one_more": "No clear winner between {a} and {b} yet: about 1 more vote needed.",
    "matrix": "Head to head",
    "matrix_how": "Share of votes that the row won against the column. Ties count half.",
    "cell": "{wins} won, {losses} lost, {even} tied",
    "how": "Ratings are Bradley–Terry strengths on the Elo scale, with an average of 1000. "
    "Intervals come from a bootstrap over the votes. Lanes share a rank until the votes show that "
    "one of them is better. Many votes from one person count like votes from many people: with few "
    "voters, the ranking shows their preferences.",
    "csv": "Export votes (CSV)",
    "json": "Export ranking (JSON)",
}
"""Texts of the ranking by votes."""


class ErrorText(NamedTuple):
    """The text of an error.

    Attributes:
        title: What happened.
        hint: What the visitor can do about it.
    """

    title: str
    hint: str


ERRORS: Final[Mapping[str, ErrorText]] = {
    "gateway_error": ErrorText(
        "Something went wrong on this server.", "Try again. Your message is kept."
    ),
    "request_refused": ErrorText(
        "{alias} rejected this request.",
        "Other endpoints were not tried, because the request itself is invalid. "
        "Change the message or the settings. The endpoint's message is under Details.",
    ),
    "request_refused.moderated": ErrorText(
        "{alias} rejected the content of this chat.",
        "Change the message, or choose another model. The endpoint's message is under Details.",
    ),
    "request_refused.blocked": ErrorText(
        "A firewall in front of {alias} rejected this request ({status}).",
        "Change the message, or choose another model.",
    ),
    "request_refused.unsupported": ErrorText(
        "{alias} doesn't support something in this request.",
        "Change the settings, remove pictures, or choose another model. "
        "The endpoint's message is under Details.",
    ),
    "request_refused.over_limit": ErrorText(
        "This request is larger than a limit of {alias}.",
        "Shorten the chat, lower the maximum answer length, or choose another model.",
    ),
    "request_refused.template": ErrorText(
        "{alias} could not process this chat.",
        "Change the message, or choose another model. The endpoint's message is under Details.",
    ),
    "context_exceeded": ErrorText(
        "This chat is longer than the context of the model{counts}.",
        "Start a new chat, shorten the message, or choose a model with a longer context.",
    ),
    "unknown_model": ErrorText(
        "The model “{model}” is not available here.", "Choose another one under Models."
    ),
    "no_endpoint": ErrorText("No endpoint serves {model} right now.", "Choose another model."),
    "no_endpoint.none_configured": ErrorText(
        "No endpoint is configured.",
        "The operator must set ENDPOINTS (or API_ENDPOINT and API_KEY) and restart the server.",
    ),
    "no_endpoint.none_serves": ErrorText(
        "No endpoint serves {model}.", "Choose a model that is ready under Models."
    ),
    "no_endpoint.drained": ErrorText(
        "The endpoints of {model} accept no new requests: their weight is 0.",
        "Choose another model, or ask the operator.",
    ),
    "no_endpoint.starting": ErrorText(
        "{model} is starting.", "Try again in a moment. Your message is kept."
    ),
    "no_endpoint.busy": ErrorText(
        "All endpoints of {model} are busy.", "Try again in a moment. Your message is kept."
    ),
    "not_allowed": ErrorText(
        "The operator of this page does not allow this.", "Try a different request."
    ),
    "not_allowed.model": ErrorText(
        "{model} is not available to visitors.", "Choose one of the models shown."
    ),
    "not_allowed.length": ErrorText(
        "This message is too long: the limit is {high} characters.",
        "Shorten it and send it again.",
    ),
    "not_allowed.request_length": ErrorText(
        "This chat is too long: the limit is {high} characters with everything that is sent.",
        "Start a new chat, or remove attachments. This one is kept.",
    ),
    "not_allowed.price": ErrorText(
        "{model} is not available: its price is unknown, and this page has a spending limit.",
        "Choose another model, or ask the operator.",
    ),
    "not_allowed.own_key": ErrorText(
        "Your API key can't be used for this endpoint.",
        "Choose another endpoint under “Your API key”, or remove your key there.",
    ),
    "not_allowed.own_endpoint": ErrorText(
        "The URL of your endpoint can't be used here.",
        "Use a URL that starts with https:// and is reachable from the public internet.",
    ),
    "not_allowed.value": ErrorText(
        "{what} must be between {low} and {high}.", "Change it in the chat settings."
    ),
    "limit_reached": ErrorText("You have reached the limit.", "Try again in {again_in}."),
    "limit_reached.messages": ErrorText(
        "You sent too many messages: the limit is {limit} per minute.",
        "Try again in {again_in}. Your message is kept.",
    ),
    "limit_reached.tokens": ErrorText(
        "You have used your {limit} tokens for today.",
        "The limit resets in {again_in}, at midnight UTC. Your chats are kept.",
    ),
    "limit_reached.cost": ErrorText(
        "You have used your spending limit for today.",
        "The limit resets in {again_in}, at midnight UTC.",
    ),
    "limit_reached.app_tokens": ErrorText(
        "This page has reached its token limit for today.",
        "The limit resets in {again_in}, at midnight UTC. Your chats are kept.",
    ),
    "limit_reached.app_cost": ErrorText(
        "This page has reached its spending limit for today.",
        "The limit resets in {again_in}, at midnight UTC. Your chats are kept.",
    ),
    "limit_reached.reserved": ErrorText(
        "Running answers have reserved what remains of today's limit.",
        "What they don't use is free again when they end. Try again in {again_in}.",
    ),
    "limit_reached.queue": ErrorText(
        "There are too many requests right now.",
        "Try again in {again_in}. Your message is kept.",
    ),
    "limit_reached.work": ErrorText(
        "You sent too much for the server to process at once.",
        "Try again in {again_in}. Your chats are kept.",
    ),
    "all_endpoints_failed": ErrorText("{model} is unavailable.", "{tries}{cause} {again}"),
    "all_endpoints_failed.resting": ErrorText(
        "All endpoints of {model} are paused.", "{cause} {again}"
    ),
    "reply_interrupted": ErrorText(
        "The answer was interrupted.",
        "{cause} The text received so far is kept. Regenerate the answer to try again.",
    ),
    "endpoint_error": ErrorText("{alias} failed.", "Try again."),
    "endpoint_unreachable": ErrorText("{alias} could not be reached ({reason}).", "Try again."),
    "endpoint_timeout": ErrorText("{alias} sent no data for {after_s} s.", "Try again."),
    "endpoint_timeout.request": ErrorText(
        "The answer was not finished within {after_s} s, the limit of this server.", "Try again."
    ),
    "endpoint_refused": ErrorText("{alias} returned status {status}.", "Try again."),
    "endpoint_malformed": ErrorText("{alias} sent an invalid response ({what}).", "Try again."),
    "endpoint_silent": ErrorText("{alias} sent an empty answer.", "Try again."),
    # ── requests to the page's API ──
    "invalid_request": ErrorText("This request is invalid.", "{detail}"),
    "cross_site": ErrorText(
        "This request came from another website.", "Open this page directly and try again."
    ),
    "message_too_long": ErrorText(
        "This message is {size} MB; the limit is {limit} MB.", "Shorten it and send it again."
    ),
    "chat_too_long": ErrorText(
        "This chat is too long to send: the limit is {limit} MB.",
        "Start a new chat. This one is kept.",
    ),
    "file_too_large": ErrorText(
        "it is larger than {limit} MB.", "Attach a smaller file, or a part of it."
    ),
    "no_vision": ErrorText(
        "{model} can't read pictures.", "Remove them, or choose a model with vision."
    ),
    "operator_only": ErrorText(
        "Only the operator of this page can check endpoints.",
        "If you run it, set ADMIN_PASSWORD and sign in at page/sign-in?as=host. Without a sign "
        "that the page is published, http://localhost on the server's computer needs no password.",
    ),
    "check_endpoint_unknown": ErrorText(
        "This endpoint can't be checked.",
        "There is no endpoint named {name} any more. Choose another one.",
    ),
    "check_running": ErrorText(
        "This endpoint is already being checked.", "Wait until that check ends."
    ),
    "check_function": ErrorText(
        "{name} is a Python function, so there is no server to check.",
        "Send it a message: its receipt shows what it did, and the log shows its errors.",
    ),
    "check_address_invalid": ErrorText("This endpoint can't be checked.", "{reason}"),
    "empty_message": ErrorText("The message is empty.", "Write a message first."),
    "invalid_prompt_set": ErrorText("These prompts can't be used yet.", "{detail}"),
    "model_withheld": ErrorText(
        "{model} is not available to visitors.", "Remove it, or choose another model."
    ),
    "run_not_found": ErrorText(
        "This run is no longer on the server.", "Start it again. Your prompts are kept."
    ),
    "runs_full": ErrorText(
        "The server is at its limit of active runs.", "Wait until one is done, then try again."
    ),
    "runs_full_for_visitor": ErrorText(
        "You already have {limit} active runs.", "Wait until one is done, or stop one."
    ),
    "runs_full_for_network": ErrorText(
        "Your network is at its limit of active runs.",
        "Wait until one is done, then try again.",
    ),
    "too_many_runs": ErrorText(
        "You can start up to {limit} runs per minute.", "Try again in {seconds} s."
    ),
    "run_storage_full": ErrorText(
        "The server has no room for another run.",
        "Try again later, or ask the operator to raise RUN_STORAGE_MB.",
    ),
    "run_storage_full_for_network": ErrorText(
        "The runs of your network use all of their space.", "Delete runs that you don't need."
    ),
    "run_storage_full_for_visitor": ErrorText(
        "Your runs use all of their space.", "Delete runs that you don't need."
    ),
    "run_too_large": ErrorText(
        "The run has reached the largest size that the server stores.",
        "Its answers so far are kept. Start another run with fewer prompts.",
    ),
    "run_elsewhere": ErrorText(
        "Another replica of the server is using this run.",
        "It continues there. Try again in half a minute.",
    ),
    "run_not_saved": ErrorText(
        "The run could not be saved on the server.",
        "Ask the operator to check the server's disk: {reason}.",
    ),
    "too_many_votes": ErrorText(
        "You can cast up to {limit} votes per minute.", "Try again in a minute."
    ),
    "too_many_votes_today": ErrorText(
        "You can cast up to {limit} votes per day.", "Try again tomorrow."
    ),
    "vote_unknown_model": ErrorText(
        "This vote is for a model that is not available here.",
        "Vote for answers of the models shown.",
    ),
    "votes_unavailable": ErrorText(
        "The votes are not available right now.",
        "Ask the operator to check the database. Your votes are kept in this browser.",
    ),
    # ── middleware ──
    "host_not_allowed": ErrorText(
        "This server does not answer for the host name {host}.",
        "If you run it, add the name to ALLOWED_HOSTS. Otherwise open the page at its own address.",
    ),
    "body_too_large": ErrorText(
        "This request is too large: the limit is {limit} MB.", "Shorten it and send it again."
    ),
    "too_many_values": ErrorText(
        "The request has too many parts: the limit is {limit}.", "Send less at a time."
    ),
    "work_failed": ErrorText(
        "The server could not process this.",
        "It is too long or too complex ({reason}). Try it with less text.",
    ),
    "body_too_slow": ErrorText(
        "The request arrived too slowly.", "Check your connection and try again."
    ),
    "bodies_full": ErrorText(
        "The server is receiving too many large requests.", "Try again in a few seconds."
    ),
    "sign_in_required": ErrorText(
        "Your session has ended.", "Sign in again. What you wrote is kept."
    ),
    "shutting_down": ErrorText("This server is restarting.", "Try again in a minute."),
    # ── attached files; the page puts the name of the file before the title ──
    "file_damaged": ErrorText(
        "it is damaged, or its type does not match its name.", "Save it again and retry."
    ),
    "file_locked": ErrorText("it is password-protected.", "Save it without a password and retry."),
    "file_without_text": ErrorText(
        "it contains only scanned pages and no text.",
        "Attach the pages as pictures for a model with vision, or a PDF with text.",
    ),
    "file_not_picture": ErrorText(
        "the picture format is not supported.", "Save it as PNG, JPEG, WebP, GIF or BMP."
    ),
    "file_too_many_pixels": ErrorText(
        "it has more than 60 million pixels.", "Reduce its size and retry."
    ),
    "file_too_heavy": ErrorText(
        "reading it took too much memory or time.", "Attach a smaller part of it."
    ),
    "file_reader_busy": ErrorText(
        "too many files are being read right now.", "Try again in a moment."
    ),
}
"""Texts of errors, by `UserError.code`, or by code and reason (`no_endpoint.busy`)."""

REFUSED: Final[Mapping[FailureKind, str]] = {
    FailureKind.KEY: "The endpoint rejected the API key ({alias}, {status}).",
    FailureKind.CREDIT: "The endpoint requires payment ({alias}, {status}).",
    FailureKind.QUOTA: "The endpoint's quota is used up ({alias}, {status}).",
    FailureKind.FORBIDDEN: "The endpoint does not allow this with the API key ({alias}, {status}).",
    FailureKind.MODEL_DENIED: "The API key may not use this model ({alias}, {status}).",
    FailureKind.MODEL_MISSING: "The endpoint does not have this model ({alias}, {status}).",
    FailureKind.WRONG_URL: "The endpoint's address is wrong ({alias}, {status}).",
    FailureKind.RATE_LIMIT: "The endpoint's rate limit is reached ({alias}, {status}).",
    FailureKind.MODEL_RATE_LIMIT: "The endpoint's rate limit is reached ({alias}, {status}).",
    FailureKind.BUSY: "The endpoint is busy ({alias}, {status}).",
    FailureKind.LOADING: "The endpoint is still loading the model ({alias}, {status}).",
}
"""Texts of an endpoint's refusals; the status alone is shown for other kinds."""

CONNECTION_LOST: Final = "{alias} closed the connection before the answer was complete."

UNREACHABLE: Final[Mapping[str, str]] = {
    "dns": "unknown host name",
    "refused": "connection refused",
    "tls": "TLS or certificate error",
    "reset": "connection reset",
    "connect": "no connection",
}

MALFORMED: Final[Mapping[str, str]] = {
    "html": "a web page",
    "json": "invalid JSON",
    "error_body": "an error",
    "too_long": "a line that is too long",
    "shape": "unexpected JSON",
    "encoding": "invalid compression",
}

MANY_ATTEMPTS: Final = "{count} attempts failed. Last error: "
RETRY_IN: Final = "Try again in {wait}. Your message is kept."
RETRY_NOW: Final = "Try again. Your message is kept."
ASK_OPERATOR: Final = "Choose another model, or ask the operator to fix it. Your message is kept."
TOKEN_COUNTS: Final = " ({requested} of {limit} tokens)"

TOOL_CALL: Final = "**Tool call:** {name}"
NAMELESS_TOOL_CALL: Final = "**Tool call**"
MEDIA: Final[Mapping[str, str]] = {
    "image": "*The model sent an image. This page shows text only; clients of `/v1` receive it.*",
    "audio": "*The model sent audio. This page shows text only; clients of `/v1` receive it.*",
    "video": "*The model sent a video. This page shows text only; clients of `/v1` receive it.*",
}
"""Output of an answer that the page can't show, by kind."""

FINISH: Final[Mapping[str, str]] = {
    "length": "token limit reached",
    "size_limit": "longest answer reached",
    "content_filter": "filtered by the endpoint",
    "interrupted": "interrupted",
    "cancelled": "stopped",
}
"""Finish reasons of answers that are not complete."""
UNKNOWN_FINISH: Final = "ended early: {reason}"

ATTEMPTS: Final = "{count} attempts"
FALLBACK: Final = "fallback: {model}"
ESTIMATED: Final = "estimated"
REPORTED: Final = "reported"

RECEIPT_ROWS: Final[Mapping[str, str]] = {
    "model": "Model",
    "requested": "Requested model",
    "endpoint": "Endpoint",
    "first": "First token",
    "total": "Total",
    "speed": "Speed",
    "tokens_in": "Tokens in",
    "tokens_out": "Tokens out",
    "tokens_reasoning": "Reasoning tokens",
    "cost": "Cost",
    "finish": "Finish reason",
    "sent": "Parameters sent",
    "sent_none": "none (provider defaults)",
    "upstream_id": "Upstream ID",
    "fingerprint": "Fingerprint",
}
"""Labels of a receipt."""

OUTCOMES: Final[Mapping[str, str]] = {
    "ok": "answered",
    "cancelled": "stopped",
    "EndpointUnreachable": "unreachable",
    "EndpointTimeout": "timed out",
    "EndpointRefused": "error status",
    "EndpointMalformed": "invalid response",
    "EndpointSilent": "empty answer",
    "RequestRefused": "request rejected",
    "ContextExceeded": "context exceeded",
    "ReplyInterrupted": "interrupted",
}
"""Outcomes of one attempt."""

SELECTION_REASONS: Final[Mapping[str, str]] = {
    "weighted": "by weight",
    "least_busy": "least busy",
    "pinned": "selected by name",
    "failover": "failover",
    "retry": "retry",
    "fallback": "fallback model",
    "probe": "probe after failures",
}
"""Why an attempt went to its endpoint."""

STATES: Final[Mapping[str, str]] = {
    "ready": "Ready",
    "slow": "Slow",
    "down": "Down",
    "resting": "Paused",
    "starting": "Starting",
    "busy": "Busy",
    "waking": "Loading",
    "unknown": "Not used yet",
    "drained": "Drained",
    "unserved": "Not served",
    "hidden": "Hidden",
}
"""States of models and endpoints."""

UNAVAILABLE_REASONS: Final[Mapping[str, str]] = {
    "no_endpoint": "No endpoint lists this model.",
    "not_discovered_yet": "No endpoint has listed this model yet.",
    "drained": "Its endpoints have weight 0 and accept no new requests.",
    "down": "Its endpoints failed recently and are tried again soon.",
    "starting": "It is starting.",
    "busy": "Its endpoints have reached their limit of concurrent requests.",
    "waking": "Its server is running but still loading the model.",
    "resting": "Its endpoints requested a pause.",
    "available_false": "The catalog hides it (available = false).",
    "key": "The endpoint rejected the API key.",
    "credit": "The account at the endpoint has no credit or quota left.",
}
"""Why a model can't be used."""

HEALTH: Final[Mapping[str, str]] = {
    "recent": "Last 15 minutes: time to the first token, and tokens per second",
    "failed": "{failed} of {requests} failed",
    "day": "Last 24 hours: {lowest} to {highest} tokens per second",
}
"""Texts of a model's health."""

CAPABILITIES: Final[Mapping[str, str]] = {
    "no_stream_options": "no stream_options",
    "no_streams": "no streaming",
    "pictures": "accepts pictures",
    "reasoning_content": "reasoning in reasoning_content",
    "reasoning": "reasoning in reasoning",
    "tags": "reasoning in tags",
    "end_tag": "reasoning with an end tag only",
}
"""How an endpoint serves a model, where that differs from the default."""

CHECK: Final[Mapping[str, str]] = {
    "title": "Check an endpoint",
    "lead": "Find out whether an endpoint works, and what to change if it doesn't.",
    "endpoint": "Endpoint",
    "address": "Another URL…",
    "url": "Base URL",
    "url_hint": "https://host/v1",
    "key": "API key",
    "key_hint": "sent only to this URL, never stored",
    "model": "Model",
    "first_model": "first listed model",
    "depth": "Depth",
    "quick": "Quick",
    "standard": "Standard",
    "full": "Full",
    "cost": "At most {calls} calls, {tokens_in} tokens in and {tokens_out} out; about {time}.",
    "run": "Check",
    "stop": "Stop",
    "pending": "waiting",
    "pass": "passed",
    "warn": "warning",
    "fail": "failed",
    "skipped": "not run",
    "progress": "{done} of {count}",
    "all_passed": "This endpoint works.",
    "with_warnings": "This endpoint works. Warnings: {warn}.",
    "with_failures": "This endpoint has problems. Failed checks: {fail}.",
    "stopped": "Stopped.",
    "connection_lost": "The connection to the server was lost. Check again.",
    "repeat": "Copy the command that repeats this check",
    "copy_failed": "The browser blocked copying. Select the text and copy it.",
    "passed": "{count} passed",
    "shape": "Choose an endpoint, or enter a URL.",
}
"""Texts of the endpoint checker."""

PANEL: Final[Mapping[str, str]] = {
    "back": "All models",
    "about": "About",
    "info": "Info",
    "facts": "Facts",
    "endpoints": "Endpoints",
    "defaults": "Defaults",
    "start": "Start chat",
    "deploy": "Deploy on Akash",
    "context": "Context",
    "context_value": "{tokens} tokens",
    "parameters": "Parameters",
    "architecture": "Architecture",
    "repository": "Hugging Face",
    "id": "Model ID",
    "temperature": "temperature",
    "top_p": "top_p",
    "own": "provider default",
    "weight": "weight {weight}",
    "priority": "priority {priority}",
    "discovered": "This model was found at an endpoint and has no catalog entry. "
    "Add one to CATALOG_FILE to describe it.",
    "no_about": "The catalog has no further description of this model.",
    "no_endpoints": "No endpoint serves this model right now.",
    "chat": "Chat",
    "reasoning": "Reasoning",
    "vision": "Vision",
}
"""Texts of a model's panel and card."""

SETTINGS: Final[Mapping[str, str]] = {
    "title": "Chat settings",
    "system": "System prompt",
    "use_saved": "Saved prompts",
    "save_prompt": "Save prompt",
    "system_hint": "Instructions for the model, sent with every message",
    "temperature": "Temperature",
    "top_p": "Top P",
    "catalog": "Model default",
    "endpoint": "Provider default",
    "custom": "Custom",
    "max_tokens": "Max answer length (tokens)",
    "seed": "Seed",
    "stop": "Stop sequences (one per line)",
    "not_set": "Not set",
    "highest_sent": "Not set: {high} is used",
    "stop_hint": "The answer ends before any of these",
    "presence_penalty": "Presence penalty",
    "frequency_penalty": "Frequency penalty",
    "more": "More settings",
    "allowed": "Allowed: {low} to {high}",
    "stream": "Stream the answer",
    "reset": "Reset to defaults",
}
"""Texts of the chat settings."""

EMBEDDED: Final[Mapping[str, str]] = {
    "waiting": "Preparing the demo model",
    "fetching": "Downloading the demo model: {done} of {total} MB",
    "checking": "Verifying the demo model",
    "loading": "Loading the demo model",
    "restarting": "The demo model stopped and is being restarted",
    "first_time": "The model is downloaded at the first start only. You can write a message now; "
    "it is sent when the model is ready.",
    "note": "Demo model on this computer",
    "note_more": "A small demo model; often wrong. "
    "To use another model, set ENDPOINTS (or API_ENDPOINT and API_KEY) and restart.",
    "unavailable": "The demo model can't run here: {reason}",
    "unavailable_hint": "Set ENDPOINTS (or API_ENDPOINT and API_KEY) to use a hosted model{more}.",
    "or_off": ", or EMBEDDED_MODEL to use other weights",
}
"""Texts about the embedded demo model."""

EMBEDDED_REASONS: Final[Mapping[str, str]] = {
    "no_wheel": "its runtime (the extra “embedded”) is not installed or not available for this "
    "platform.",
    "no_libgomp": "the system library libgomp1 is missing (apt-get install libgomp1).",
    "no_avx2": "this processor does not support AVX2.",
    "no_pip": "this Python installation has no pip, which downloads the weights.",
    "download_failed": "its weights could not be downloaded.",
    "hash_mismatch": "the checksum of the downloaded weights was wrong, so they were deleted.",
    "disk_full": "the disk is too full for its weights.",
    "cache_unwritable": "the folder for its weights (CACHE_DIR) is not writable.",
    "not_found": "the file named by EMBEDDED_MODEL does not exist.",
    "not_a_model": "the file named by EMBEDDED_MODEL is not a GGUF model.",
    "load_failed": "it could not be loaded.",
    "keeps_crashing": "it crashed several times in a row.",
}
"""Why the embedded demo model can't run."""

NOTICES: Final[Mapping[str, str]] = {
    "problems": "The configuration has an error",
    "problems_many": "The configuration has {count} errors",
    "none": "No endpoint is configured",
    "none_hint": "Set ENDPOINTS (or API_ENDPOINT and API_KEY), or EMBEDDED=on, and restart.",
    "wrong_key": "{alias} rejected its API key",
    "wrong_key_hint": "Operator: check the secret {secret}. It may be mistyped or expired.",
    "duplicate": "This Space has no API key for hosted models",
    "duplicate_hint": "Duplicate this Space and set the secret HF_TOKEN to a token with "
    "permission to call Inference Providers. Nothing else is needed.",
    "isolated": "Limits and sessions are not shared right now",
    "isolated_hint": "This replica can't reach REDIS_URL and uses its own counts. "
    "It reconnects automatically.",
    "all_down": "No endpoint is available right now",
    "all_down_hint": "They are retried automatically. Your messages are kept.",
}
"""Notices above the models and the chat."""

SIGN_IN: Final[Mapping[str, str]] = {
    "title": "Sign in",
    "token": "Access token",
    "token_hint": "You get it from the operator of this page.",
    "password": "Operator password",
    "password_hint": "The value of ADMIN_PASSWORD on this server.",
    "go": "Continue",
    "hub": "Sign in with Hugging Face",
    "hub_everybody": "Any account works. Only your user name is read.",
    "hub_named": "For users and organizations that the operator allows. "
    "Grant access to the organization if Hugging Face requests it.",
    "hub_tab": "Opens in a new tab; continue there.",
    "or": "or",
    "wrong": "Incorrect. Check it and try again.",
    "throttled": "Too many failed attempts. Try again in {wait}.",
    "hub_refused": "This Hugging Face account is not on the allow list. Ask the operator to add "
    "it or its organization. To use another account, sign out at huggingface.co first.",
    "hub_denied": "You denied access at Hugging Face. Sign in again to continue.",
    "hub_stale": "The sign-in took too long, or was started in another tab or browser. "
    "Sign in again.",
    "hub_down": "Hugging Face did not respond as expected. Try again in a minute.",
    "hub_often": "Too many failed sign-ins from your network. Try again in five minutes.",
    "hub_secret": "Hugging Face rejected this page's OAuth app. "
    "The operator must fix OAUTH_CLIENT_ID and OAUTH_CLIENT_SECRET.",
    "hub_unset": "Sign-in with Hugging Face is on, but OAUTH_CLIENT_ID is not set. "
    "The operator must set it.",
    "nothing": "No sign-in is needed here.",
    "back": "Back to the page",
}
"""Texts of the sign-in page."""
