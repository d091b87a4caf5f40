"""Every sentence that people read on the page, in one file, ready for a second language.

Braces are filled with `str.format`. `PAGE` travels to the browser; the rest is used here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

PAGE: Final[Mapping[str, str]] = {
    "title": "Akash Gradio",
    "new_chat": "New chat",
    "models": "Models",
    "check": "Check endpoints",
    "menu": "Menu",
    "close": "Close",
    "history_empty": "Chats appear here. They stay in this browser.",
    "history_off": "This browser keeps no data for this page, so chats end with the tab.",
    "history_full": "This browser has no more room for chats. Delete old ones to keep this one.",
    "history_unread": "This chat can't be read from the browser's storage.",
    "pinned": "Pinned",
    "today": "Today",
    "yesterday": "Yesterday",
    "week": "This week",
    "hide_sidebar": "Hide the sidebar",
    "search_chats": "Search chats",
    "search_titles": "In titles",
    "search_texts": "In messages",
    "search_none": "No chat has all of these words.",
    "more": "More",
    "pin": "Pin",
    "unpin": "Unpin",
    "rename": "Rename",
    "duplicate": "Duplicate",
    "delete": "Delete",
    "chat_title": "Title of this chat",
    "copy_of": "{title} (copy)",
    "deleted": "Chat deleted",
    "undo": "Undo",
    "deleted_elsewhere": "This chat was deleted in another tab.",
    "merged": "Another tab went on with this chat too. Both are in it now.",
    "export_markdown": "Save as Markdown",
    "export_html": "Save as HTML",
    "export_json": "Save as JSON",
    "export_nothing": "(no answer: {why})",
    "system_prompt": "System prompt",
    "assistant": "Model",
    "all_chats": "all chats",
    "your_chats": "Your chats",
    "kept_where": "They are kept in this browser and nowhere else. "
    "The server is sent only the chat that is open, and forgets it.",
    "one_chat": "1 chat",
    "many_chats": "{count} chats",
    "room": "{used} of {quota} that this browser gives to this page",
    "may_go": "A browser may clear this when its disk is full.",
    "ask_to_keep": "Ask it to keep them",
    "will_stay": "This browser keeps them until you delete them.",
    "wont_promise": "This browser gives no promise. Export what you want to be sure of.",
    "largest": "The largest chats",
    "make_room": "Make room",
    "make_room_how": "Export all, then delete the largest. The open chat is not kept until then, "
    "but stays as long as this tab.",
    "export_all": "Export all",
    "import_file": "Import a file",
    "import_what": "Files are those exported here, and Akash Chat's exports.",
    "imported_one": "1 chat was imported.",
    "imported_many": "{count} chats were imported.",
    "imported_prompts": "Saved prompts: {count}.",
    "import_known": "Already here: {count}.",
    "import_faults": "Left out because they can't be read: {count}.",
    "import_json": "This file is not JSON, so it is no export of chats.",
    "import_newer": "This file was exported by a newer version of this page. Reload the page.",
    "import_unknown": "This file holds no chats that are known here. "
    "Choose one exported here or by Akash Chat.",
    "fault": "Chat {chat} ({title}): {why}",
    "fault_no_messages": "it has no messages.",
    "fault_no_text": "message {at} has no text.",
    "fault_who_speaks": "message {at} is neither the visitor's nor a model's.",
    "keep_nothing": "Keep nothing",
    "keep_nothing_what": "New chats, comparisons, saved prompts and sets, and votes end with "
    "the page. "
    "What is on the server stays there: runs of prompt sets until you delete them, and votes where "
    "this page's host collects them.",
    "keeping_nothing": "Nothing is kept: chats end with this tab.",
    "kept_before": "Chats kept before and hidden now: {count}.",
    "delete_all": "Delete all",
    "delete_all_sure": "Delete all {count}, for ever",
    "all_deleted": "All chats are deleted.",
    "all_keys": "Keys",
    "key_focus": "Write a message",
    "key_stop": "Stop the answer",
    "key_regenerate": "Regenerate the last answer",
    "key_edit": "Edit your last message",
    "key_copy": "Copy the last answer",
    "key_model": "Switch the model",
    "key_sidebar": "Show or hide the sidebar",
    "key_sheet": "This list",
    "key_line": "A new line in a message",
    "parted": "Another tab changed this chat in another way. Yours goes on as a copy.",
    "theme": "Theme",
    "theme_system": "System",
    "theme_light": "Light",
    "theme_dark": "Dark",
    "choose_model": "Choose a model",
    "search_models": "Search models",
    "no_match": "No model matches “{query}”.",
    "clear_search": "Clear the search",
    "one_model": "1 model",
    "many_models": "{count} models",
    "some_models": "{shown} of {count} models",
    "sort": "Order",
    "sort_served": "Ready first",
    "sort_name": "Name",
    "sort_context": "Longest context",
    "filter_all": "All",
    "filter_ready": "Ready",
    "filter_reasoning": "Reasoning",
    "filter_vision": "Vision",
    "no_models": "No endpoint serves a model yet.",
    "hidden_one": "1 model of the catalog is not shown",
    "hidden_many": "{count} models of the catalog are not shown",
    "unknown_model": "There is no model called “{model}” here.",
    "settings": "Settings",
    "message": "Message",
    "message_to": "Message {model}",
    "send": "Send",
    "stop": "Stop",
    "send_hint": "Enter sends, Shift+Enter starts a new line",
    "you": "You",
    "copy": "Copy",
    "copied": "Copied",
    "copy_failed": "The browser did not allow copying. Select the text instead.",
    "regenerate": "Regenerate",
    "regenerate_with": "Regenerate with another model",
    "go_on": "Go on",
    "go_on_what": "Ask the model to go on where this answer broke off",
    "continued": "continuation",
    "elsewhere": "being written in another tab",
    "newer_store": "A newer version of this page keeps your chats. Reload the page to see them.",
    "edit": "Edit",
    "edit_answer": "Edit the answer",
    "edited": "edited by you",
    "save": "Save",
    "save_and_send": "Send again",
    "branch": "Branch from here",
    "turn_deleted": "Message deleted",
    "cancel": "Cancel",
    "previous_version": "Previous version",
    "next_version": "Next version",
    "thinking": "Thinking…",
    "thought": "Thought for {seconds} s",
    "thought_some": "Thoughts",
    "waiting": "Waiting for the first token",
    "waiting_s": "Waiting for the first token · {seconds} s",
    "trying_another": "{endpoint} did not answer. Trying another endpoint",
    "trying_again": "{endpoint} did not answer. Trying again in {seconds} s",
    "own_key": "Your key",
    "own_key_on": "Your key is used",
    "own_key_hint": "Answers are then paid with it. It stays in this tab until you close it; "
    "the server keeps it for the length of an answer, and nobody else sees it.",
    "own_key_field": "Key",
    "own_key_endpoint": "For which endpoint",
    "own_key_other": "Another address…",
    "own_key_address": "Its address",
    "own_key_save": "Use it",
    "own_key_remove": "Remove it",
    "sign_out": "Sign out",
    "queued": "You are number {place} in line",
    "stopped": "stopped",
    "busy": "An answer is still coming. Stop it first.",
    "empty_start": "What would you like to ask?",
    "details": "Details",
    "try_again": "Try again",
    "to_the_end": "To the latest message",
    "earlier": "Show earlier messages",
    "answer_done": "{model} answered: {text}",
    "answer_began": "{model} is answering.",
    "too_long": "This message has {size} MB; the longest accepted is {limit} MB. "
    "Shorten it, nothing was lost.",
    "still_loading": "Still loading. If nothing comes, allow JavaScript for this page and load it "
    "again; if it is allowed, something between you and the server holds back its scripts.",
    "offline_title": "This page can't reach its server",
    "offline_hint": "Check your connection, or that the program still runs. Your message is kept.",
    "offline_badge": "no connection to the server",
    "mine": "mine",
    "defaults": "defaults",
    "starting": "Waiting until the model has started. Your message is sent then.",
    "down_since": "down since {time}",
    "open_receipt": "Show what happened",
    # Around the message: what the model reads, files, saved prompts.
    "context_title": "What the model reads",
    "context_label": "Context: {used} of {limit} tokens",
    "context_label_estimated": "Context: about {used} of {limit} tokens, estimated",
    "context_system": "System prompt",
    "context_history": "Earlier messages",
    "context_message": "Your message",
    "context_room": "Room for the answer",
    "context_free": "Free",
    "context_of": "{used} of {limit}",
    "context_estimated": "Estimated from the length of the texts. It gets better with each answer "
    "whose endpoint reports its count.",
    "context_learned": "Estimated, by what this model's endpoints reported before.",
    "context_left_one": "The oldest message will be left out: "
    "{model} reads {limit} tokens, and this chat is longer.",
    "context_left_many": "The oldest {count} messages will be left out: "
    "{model} reads {limit} tokens, and this chat is longer.",
    "context_left_over": "Even without the oldest {count} messages this is longer than "
    "{model} reads ({limit} tokens). Shorten it, or choose a model that reads more.",
    "context_over": "This is longer than {model} reads ({limit} tokens). "
    "The endpoint may refuse it.",
    "context_longer": "Use {model} ({limit})",
    "context_send_all": "Send all of it",
    "context_drop": "Leave out the oldest",
    "context_line": "Above this line nothing is sent",
    "left_out_one": "1 message left out",
    "left_out_many": "{count} messages left out",
    "attach": "Attach files",
    "attach_hint": "Attach texts, code, PDFs or pictures; paste and drop work too",
    "drop_here": "Drop files here to attach them",
    "file_added": "{name} is attached.",
    "file_remove": "Remove {name}",
    "file_reading": "Reading {name}…",
    "file_wait": "A file is still being read. Send the message when it is there.",
    "file_cost": "≈ {tokens} tokens",
    "file_too_many": "{name} was not attached: a message may have {limit} files.",
    "file_text_long": "{name} was not attached: it has {size} MB, a text may have {limit} MB.",
    "file_long": "{name} was not attached: it has {size} MB, a file may have {limit} MB.",
    "file_unknown": "{name} was not attached: it is neither text nor a PDF nor a picture.",
    "file_empty": "{name} was not attached: it is empty.",
    "file_fault": "{name} was not attached: {why}",
    "file_cut": "Of {name} only the first {read} of {pages} pages are attached.",
    "pasted_name": "pasted text{number}.txt",
    "pasted": "The long text is attached as a file.",
    "pasted_inline": "Put it into the message",
    "no_vision": "{model} can't see pictures. Remove them, or choose a model with vision.",
    "pictures_left_out": "The pictures of earlier messages are not sent: {model} can't see them.",
    "use_model": "Use {model}",
    "effort": "Reasoning effort",
    "effort_own": "Effort",
    "effort_is": "Effort: {effort}",
    "thought_tokens": "Thought for {seconds} s · {tokens} tokens",
    "folder_move": "Move to a folder",
    "folder_new": "New folder",
    "folder_put": "Move",
    "folder_none": "No folder",
    "folder_name": "Name of this folder",
    "export_picture": "Picture: {name} ({width} × {height})",
    "diagram": "Diagram",
    "diagram_code": "Code",
    "diagram_alt": "Diagram: {text}",
    "diagram_larger": "Show the diagram larger",
    "diagram_fault": "This diagram has a mistake: {why}",
    "diagram_large": "This diagram is too large to be drawn here.",
    "diagram_slow": "This diagram took too long to draw.",
    "prompts": "Saved prompts",
    "prompts_title": "Saved prompts, or type / in an empty message",
    "prompts_system": "Choose a system prompt",
    "prompts_search": "Search prompts",
    "prompts_empty": "Nothing is saved yet. Keep here what you write often, in this browser alone; "
    "a word in double braces, as in {{language}}, becomes a field to fill in.",
    "prompts_unkept": "This browser has no room to keep the prompt.",
    "prompt_new": "New prompt",
    "prompt_name": "Name",
    "prompt_text": "Prompt",
    "prompt_hint": "A word in double braces, as in {{language}}, becomes a field to fill in.",
    "prompt_save": "Save",
    "prompt_insert": "Insert",
    "prompt_deleted": "“{name}” was deleted.",
    "prompt_nothing": "There is no system prompt to save.",
    "with_system": "system prompt",
    "not_streamed": "not streamed",
    "own_setting": "{name}: endpoint's own",
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
    "untick": "Untick all",
    "ticked_one": "1 model. Tick another one to compare",
    "ticked_go": "Compare {count} models",
    "ticked_most": "At most 4 models are compared at once.",
    "compare_this": "Compare this model with others",
    "compare": "Compare",
    "lanes": "Lanes",
    "lane": "Lane {letter}",
    "lane_model": "Model of lane {letter}",
    "lane_settings": "Settings of lane {letter}",
    "lane_left": "Move lane {letter} to the left",
    "lane_right": "Move lane {letter} to the right",
    "lane_remove": "Remove lane {letter}",
    "lane_removed": "Lane {letter} removed",
    "lane_add": "Add a lane",
    "lane_failed": "failed",
    "stop_lane": "Stop lane {letter}",
    "ask_lane": "Ask this lane too",
    "retry_lane": "Ask lane {letter} again",
    "stop_all": "Stop all",
    "stop_failed": "This lane can't be stopped alone: another replica runs it.",
    "go_on_with": "Go on with {model}",
    "model_gone": "{model} (not here)",
    "choose_models": "Choose a model for every lane first.",
    "empty_answer": "The answer is empty.",
    "shared_settings": "Settings of all lanes",
    "shared_brief": "shared",
    "own_settings": "own settings",
    "use_shared": "Use the settings of all lanes",
    "answered_by": "Answered by",
    "any_endpoint": "any endpoint",
    "at_endpoint": "on {endpoint}",
    "compare_message": "Ask every lane the same question",
    "compare_send": "Send to all lanes",
    "compare_hint": "Enter sends to every lane at once; all start together",
    "compare_new": "New question",
    "compare_cleared": "The answers are gone.",
    "compare_replaced": "Another comparison was open here.",
    "compare_without_files": "The files of this message stay in the chat: "
    "lanes are asked the text alone.",
    "compare_began": "All lanes are asked.",
    "compare_done": "All {count} lanes have answered.",
    "compare_done_failed": "{failed} of {count} lanes failed; the others have answered.",
    "race": "How fast each lane answers",
    "fastest": "the best of these lanes",
    "blind": "Blind",
    "blind_hint": "Hide names and speed until you have voted; the sides are shuffled",
    "blind_model": "Model {letter}",
    "blind_failed": "This lane failed.",
    "blind_next": "The next question begins a blind round.",
    "sync": "Scroll together",
    "sync_hint": "Scrolling one lane scrolls the others",
    "differences": "Differences",
    "diff_side": "Side {side}",
    "diff_common": "{share} % in common",
    "diff_only": "only here",
    "diff_number": "another number there",
    "copy_link": "Copy link",
    "report": "Report",
    "report_title": "Comparison",
    "link_too_long": "The question is too long for a link. Shorten it, or send it by itself.",
    "link_copied": "Link copied. It holds the models, the question and the settings.",
    "link_filled": "This link filled in the lanes and the question. "
    "Nothing is sent before you press Send.",
    "vote_question": "Which answer is better?",
    "vote_better": "{letter} is better",
    "vote_tie": "Tie",
    "vote_both_bad": "Both are bad",
    "vote_all_bad": "All are bad",
    "vote_thanks": "Your vote counts.",
    "vote_kept_here": "The server could not keep this vote; it is kept in this browser.",
    "votes_open": "See the ranking",
    "ranking": "Ranking",
}


SETS: Final[Mapping[str, str]] = {
    "title": "Prompt sets",
    "lead": "Ask several models many prompts, check the answers, and take a report away.",
    "prompts": "Prompts",
    "paste": "One prompt a line. For prompts of several lines, put --- between them.",
    "open_file": "Open a file",
    "file_hint": "CSV, JSON Lines, TOML or text, up to 10 000 prompts. Columns: prompt, id, "
    "system, contains, regex, json, max_length, not_empty.",
    "from_chat": "Use this chat's prompts",
    "clear_all": "Clear",
    "read_one": "1 prompt",
    "read": "{count} prompts",
    "with_checks": "{count} with checks",
    "models": "Models",
    "model": "Model",
    "model_gone": "{model} (not here)",
    "add_candidate": "Add a model",
    "copy_candidate": "The same model once more",
    "remove_candidate": "Remove this model",
    "own": "Parameters of its own",
    "as_all": "as for all",
    "endpoint": "Answered by",
    "any_endpoint": "any endpoint",
    "parameters": "For all of them",
    "temperature": "Temperature",
    "temperature_hint": "several make a lane each: 0.2, 0.9",
    "top_p": "Top p",
    "seed": "Seed",
    "presence_penalty": "Presence penalty",
    "frequency_penalty": "Frequency penalty",
    "stop_at": "Stop sequences",
    "stop_how": "one a line",
    "reasoning_effort": "Effort",
    "effort_own": "endpoint's own",
    "catalog": "catalog",
    "repeats": "Repeats",
    "max_tokens": "Max tokens",
    "no_limit": "no limit",
    "system": "System prompt",
    "system_hint": "where the set has none",
    "demand": "Every answer must contain",
    "demand_hint": "optional",
    "forecast_calls": "{calls} calls: {what}",
    "times": "{count} times",
    "lane_one": "1 lane",
    "lane_many": "{count} lanes",
    "forecast_tokens": "about {tokens_in} tokens in, {tokens_out} out",
    "forecast_time": "about {time}",
    "unpriced": "No price is known of {models}.",
    "unserved": "No endpoint serves {models} now.",
    "start": "Start",
    "start_calls": "Start {calls} calls",
    "need_prompts": "Write or open prompts first.",
    "need_models": "Choose a model.",
    "wrong_number": "{name}: write a number from {low} to {high}.",
    "replaced": "Other prompts are there now.",
    "cleared": "The prompts are gone.",
    "no_text": "{name} is no text.",
    "without_files": "The files of this chat's messages are not part of the set.",
    "save_set": "Save this set",
    "saved_sets": "Saved sets",
    "rename_set": "Rename this set",
    "rename_it": "Rename",
    "set_name": "Name",
    "save": "Save",
    "set_saved": "“{name}” is saved in this browser.",
    "set_replaced": "“{name}” was replaced.",
    "set_deleted": "“{name}” was deleted.",
    "set_name_taken": "Another set is called “{name}”. Nothing was renamed.",
    "set_unkept": "This browser has no room to keep the set. Nothing is lost: "
    "delete a saved set and save again.",
    "sets_many": "{limit} sets are saved, and no more are kept. Delete one and save again.",
    "earlier": "Your runs",
    "none_yet": "Runs that you start are listed here, in this browser.",
    "not_kept": "This host keeps no runs: when the server restarts, they are gone. "
    "Take the report away.",
    "new": "New set",
    "pause": "Pause",
    "go_on": "Go on",
    "stop": "Stop",
    "report": "Report",
    "again": "Ask the {count} failed again",
    "again_one": "Ask the failed one again",
    "calls": "{count} calls",
    "forget": "Delete",
    "forget_sure": "Delete for good",
    "forgotten": "The run and its answers are deleted.",
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
    "open_row": "Answers to this prompt side by side",
    "row_before": "Prompt before",
    "row_after": "Next prompt",
    "row_of": "{row} of {total}",
    "pending": "not asked yet",
    "empty": "The answer is empty.",
    "check_passed": "passed",
    "check_failed": "failed",
    "reasoning": "Reasoning",
    "receipt": "Receipt",
    "page": "{first} to {last} of {total}",
    "previous": "Earlier rows",
    "next": "Later rows",
    "compare_with": "What changed since",
    "nothing": "no other run",
    "changed": "{count} cells changed",
    "one_changed": "1 cell changed",
    "unchanged": "Nothing changed.",
    "before": "before",
    "now": "now",
    "change_prompt": "other prompt",
    "change_answer": "other answer",
    "change_outcome": "other outcome",
    "change_checks": "other checks",
    "change_new": "new",
    "change_gone": "gone",
    "leaves": "This is what leaves: prompts, answers with their reasoning, parameters, receipts "
    "with the names of endpoints, votes and versions. Addresses and keys of endpoints are not "
    "in it.",
    "download": "Download",
    "preview": "Preview of the report",
    "cut": "… and more; the download has all of it.",
    "back": "Compare",
    "failed_run": "The run could not be written down: {reason}",
}


RANKING: Final[Mapping[str, str]] = {
    "none": "No votes yet. Compare two models and say which answer is better.",
    "start": "Compare models",
    "one_vote": "1 vote",
    "votes": "{count} votes",
    "kept_here": "Everybody who votes on this page is counted.",
    "kept_in_browser": "This host keeps no votes: these are the ones of this browser.",
    "left_out": "{count} more lanes have too few votes to be shown.",
    "place": "Place",
    "model": "Model",
    "rating": "Rating",
    "interval": "95 % interval",
    "counts": "Votes",
    "record": "{wins} won, {losses} lost, {ties} even",
    "unconnected": "No votes connect these two yet.",
    "too_close": "Too close to order these two by voting.",
    "more": "Not enough votes to order these two: about {count} more.",
    "one_more": "Not enough votes to order these two: about 1 more.",
    "matrix": "One against one",
    "matrix_how": "How often the row won against the column; ties count half.",
    "cell": "{wins} won, {losses} lost, {even} even",
    "how": "Ratings are Bradley–Terry strengths on Elo's scale, 1000 being the average; "
    "intervals come from a bootstrap over the votes. Lanes share a place until votes prove "
    "one of them better. Many votes of one person count as those of many people: where few vote, "
    "this is their taste.",
    "csv": "Votes as CSV",
    "json": "Votes and ranking as JSON",
}


class ErrorText(NamedTuple):
    """What an error says to a visitor: what happened and whose fault, then what to do."""

    title: str
    hint: str


ERRORS: Final[Mapping[str, ErrorText]] = {
    "AkashGradioError": ErrorText(
        "Something went wrong on this server.", "Try again; your message is kept."
    ),
    "RequestRefused": ErrorText(
        "{alias} does not accept this request.",
        "The request is at fault, so no other endpoint was asked. "
        "Change the message or the settings; the endpoint's own words are under details.",
    ),
    "ContextExceeded": ErrorText(
        "This chat is longer than the model can read{counts}.",
        "Start a new chat, shorten the message, or choose a model with a longer context.",
    ),
    "UnknownModel": ErrorText(
        "There is no model called “{model}” here.", "Choose one under Models."
    ),
    "NoEndpoint": ErrorText("No endpoint serves {model} now.", "Choose another model."),
    "NoEndpoint.none_configured": ErrorText(
        "No endpoint is configured.",
        "The host sets ENDPOINTS (or API_ENDPOINT and API_KEY) and starts the program again.",
    ),
    "NoEndpoint.none_serves": ErrorText(
        "No endpoint serves {model}.", "Choose a model that is ready under Models."
    ),
    "NoEndpoint.drained": ErrorText(
        "The endpoints of {model} take no new requests: their weight is 0.",
        "Choose another model, or ask the host.",
    ),
    "NoEndpoint.starting": ErrorText("{model} is still starting.", "It answers in a moment."),
    "NoEndpoint.busy": ErrorText(
        "Every endpoint of {model} is busy.", "Try again in a moment; your message is kept."
    ),
    "NotAllowed": ErrorText("The host of this page does not allow this.", "Ask it otherwise."),
    "NotAllowed.model": ErrorText(
        "{model} may not be used here.", "Choose one of the models that are shown."
    ),
    "NotAllowed.length": ErrorText(
        "This message is too long: {high} characters are allowed here.",
        "Shorten it; nothing was lost.",
    ),
    "NotAllowed.own_key": ErrorText(
        "A visitor's key can't be used for this endpoint here.",
        "Choose another one under “Your key”, or remove your key there.",
    ),
    "NotAllowed.own_endpoint": ErrorText(
        "The address of your endpoint can't be used here.",
        "It must begin with https:// and lead to the public internet.",
    ),
    "NotAllowed.value": ErrorText(
        "{what} may be {low} to {high} here.", "Change it in the settings of this chat."
    ),
    "LimitReached": ErrorText("This is used up.", "It opens again in {again_in}."),
    "LimitReached.messages": ErrorText(
        "That was a lot of messages: {most} a minute are allowed.",
        "The next one can be sent in {again_in}; your message is kept.",
    ),
    "LimitReached.tokens": ErrorText(
        "You have used today's share of {most} tokens.",
        "It opens again in {again_in}, at midnight UTC. Your chats are kept.",
    ),
    "LimitReached.app_tokens": ErrorText(
        "This page has given all the answers that it may give today.",
        "It opens again in {again_in}, at midnight UTC. Your chats are kept.",
    ),
    "LimitReached.app_cost": ErrorText(
        "This page has spent what it may spend today.",
        "It opens again in {again_in}, at midnight UTC. Your chats are kept.",
    ),
    "LimitReached.queue": ErrorText(
        "Too many people are asking just now.", "Try again in {again_in}; your message is kept."
    ),
    "AllEndpointsFailed": ErrorText(
        "Nobody answered for {model}.",
        "{tries} failed; the last: {cause} {again}",
    ),
    "ReplyInterrupted": ErrorText(
        "The answer broke off.",
        "{cause} What had come is kept; regenerate to ask again.",
    ),
    "EndpointError": ErrorText("{alias} failed.", "Try again."),
    "EndpointUnreachable": ErrorText("{alias} can't be reached ({reason}).", "Try again."),
    "EndpointTimeout": ErrorText("{alias} said nothing for {after_s} s.", "Try again."),
    "EndpointRefused": ErrorText("{alias} answered with status {status}.", "Try again."),
    "EndpointMalformed": ErrorText(
        "{alias} sent something that is not the protocol ({what}).", "Try again."
    ),
    "EndpointSilent": ErrorText("{alias} sent an empty answer.", "Try again."),
}

REFUSED_STATUS: Final[Mapping[int, str]] = {
    401: "{alias} does not accept the host's key (401).",
    402: "{alias} wants to be paid first (402).",
    403: "{alias} does not allow this with the host's key (403).",
    404: "{alias} does not know this model (404).",
    429: "{alias} has too much to do (429).",
}

CONNECTION_LOST: Final = "{alias} broke off in the middle."

UNREACHABLE: Final[Mapping[str, str]] = {
    "dns": "its name is unknown",
    "refused": "the connection was refused",
    "tls": "its certificate or TLS failed",
    "reset": "the connection was reset",
    "connect": "no connection",
}

MALFORMED: Final[Mapping[str, str]] = {
    "html": "a web page",
    "json": "broken JSON",
    "error_body": "an error",
    "too_long": "a line without end",
    "shape": "JSON of another shape",
    "encoding": "a broken compression",
}

ONE_ATTEMPT: Final = "One attempt"
MANY_ATTEMPTS: Final = "{count} attempts"
RETRY_IN: Final = "Try again in {seconds} s."
RETRY_NOW: Final = "Try again; your message is kept."
TOKEN_COUNTS: Final = " ({asked} of {limit} tokens)"

FINISH: Final[Mapping[str, str]] = {
    "length": "cut at the token limit",
    "content_filter": "filtered by the endpoint",
    "interrupted": "interrupted",
    "cancelled": "stopped",
}
ATTEMPTS: Final = "{count} attempts"
FALLBACK: Final = "fallback: {model}"
ESTIMATED: Final = "estimated"
REPORTED: Final = "reported"

RECEIPT_ROWS: Final[Mapping[str, str]] = {
    "model": "Model",
    "asked": "Asked for",
    "endpoint": "Endpoint",
    "first": "First token",
    "total": "Total",
    "speed": "Speed",
    "tokens_in": "Tokens in",
    "tokens_out": "Tokens out",
    "tokens_reasoning": "of these, reasoning",
    "cost": "Cost",
    "finish": "Finish",
    "sent": "Parameters sent",
    "sent_none": "none, the endpoint's own hold",
    "upstream_id": "Upstream id",
    "fingerprint": "Fingerprint",
}

OUTCOMES: Final[Mapping[str, str]] = {
    "ok": "answered",
    "cancelled": "stopped",
    "EndpointUnreachable": "not reachable",
    "EndpointTimeout": "silent for too long",
    "EndpointRefused": "refused",
    "EndpointMalformed": "not the protocol",
    "EndpointSilent": "empty answer",
    "RequestRefused": "refused the request",
    "ContextExceeded": "too long for the model",
    "ReplyInterrupted": "broke off",
}

SELECTION_REASONS: Final[Mapping[str, str]] = {
    "weighted": "its weighted turn",
    "least_busy": "the least busy",
    "pinned": "asked for by name",
    "failover": "the next in line",
    "retry": "another round",
    "fallback": "the fallback model",
    "probe": "a probe after a rest",
}

STATES: Final[Mapping[str, str]] = {
    "ready": "ready",
    "slow": "slow",
    "down": "down",
    "resting": "resting",
    "starting": "starting",
    "busy": "busy",
    "waking": "waking up",
    "unknown": "not asked yet",
    "drained": "drained",
    "unserved": "not served",
    "hidden": "hidden",
}

UNAVAILABLE_REASONS: Final[Mapping[str, str]] = {
    "no_endpoint": "No endpoint lists this model.",
    "not_discovered_yet": "No endpoint has said yet that it serves this model.",
    "drained": "Its endpoints have weight 0 and take no new requests.",
    "down": "Its endpoints failed lately and are tried again soon.",
    "starting": "It is being started.",
    "busy": "Its endpoints answer as many as they take at once.",
    "waking": "Its server is up and still loads the model.",
    "resting": "Its endpoints asked for a pause.",
    "available_false": "The catalog says available = false.",
    "key": "The endpoint does not accept the host's key.",
}

HEALTH: Final[Mapping[str, str]] = {
    "recent": "The last 15 minutes: time to the first token, and tokens a second",
    "failed": "{failed} of {asked} failed",
    "day": "The last 24 hours: {least} to {most} tokens a second",
}

CAPABILITIES: Final[Mapping[str, str]] = {
    "no_stream_options": "no stream_options",
    "no_streams": "answers in one lump",
    "pictures": "takes pictures",
    "reasoning_content": "reasoning in reasoning_content",
    "reasoning": "reasoning in reasoning",
    "tags": "reasoning between tags",
    "end_tag": "reasoning by end tag alone",
}

CHECK: Final[Mapping[str, str]] = {
    "title": "Check an endpoint",
    "lead": "Find out whether it will serve, and what to change if not.",
    "endpoint": "Endpoint",
    "address": "Another address…",
    "url": "Base URL",
    "url_hint": "https://host/v1",
    "key": "Key",
    "key_hint": "sent to that address alone, kept nowhere",
    "model": "Model",
    "first_model": "the first that it lists",
    "depth": "How much",
    "quick": "Quick",
    "standard": "Standard",
    "full": "Full",
    "cost": "At most {calls} calls, {tokens_in} tokens in and {tokens_out} out; about {seconds} s.",
    "run": "Check",
    "stop": "Stop",
    "pending": "waiting",
    "pass": "pass",
    "warn": "warning",
    "fail": "fails",
    "skipped": "not run",
    "progress": "{done} of {count}",
    "well": "It will serve.",
    "mostly": "It will serve; {warn} to look at.",
    "ill": "{fail} to mend before it serves well.",
    "stopped": "Stopped.",
    "broke": "The connection to this page's server broke off. Check again.",
    "repeat": "Copy the command that repeats it",
    "copy_failed": "The browser did not allow copying. Select the text instead.",
    "passed": "{count} passed",
    "shape": "Choose an endpoint, or write an address.",
}

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
    "id": "Model id",
    "temperature": "temperature",
    "top_p": "top_p",
    "own": "the endpoint's own",
    "weight": "weight {weight}",
    "priority": "priority {priority}",
    "discovered": "This model was found at an endpoint and has no catalog entry yet. "
    "Add one to CATALOG_FILE to describe it.",
    "no_about": "The catalog says nothing more about this model.",
    "no_endpoints": "No endpoint serves this model now.",
    "chat": "Chat",
    "reasoning": "Reasoning",
    "vision": "Vision",
}

SETTINGS: Final[Mapping[str, str]] = {
    "title": "Settings of this chat",
    "system": "System prompt",
    "use_saved": "Saved prompts",
    "save_prompt": "Save this one",
    "system_hint": "How the model should answer, in every turn of this chat",
    "temperature": "Temperature",
    "top_p": "Top P",
    "catalog": "Catalog",
    "endpoint": "Endpoint's own",
    "mine": "Mine",
    "max_tokens": "Max tokens of an answer",
    "seed": "Seed",
    "stop": "Stop sequences, one a line",
    "not_set": "none is sent",
    "highest_sent": "{high} is sent",
    "stop_hint": "The answer ends before any of these",
    "presence_penalty": "Presence penalty",
    "frequency_penalty": "Frequency penalty",
    "more": "More settings",
    "allowed": "This page allows {low} to {high}",
    "stream": "Stream the answer as it is written",
    "reset": "Reset to defaults",
}

EMBEDDED: Final[Mapping[str, str]] = {
    "waiting": "Getting the small model ready",
    "fetching": "Fetching the small model: {done} of {total} MB",
    "checking": "Checking the small model's file",
    "loading": "Loading the small model",
    "restarting": "The small model stopped; starting it again",
    "first_time": "Only the first start fetches it. You may write already; it is sent when ready.",
    "note": "A very small model that runs on this computer",
    "note_more": "It is here to try things out, and often wrong. "
    "For a real one, set ENDPOINTS (or API_ENDPOINT and API_KEY) and start again.",
    "unavailable": "The small model can't run here: {reason}",
    "unavailable_hint": "Set ENDPOINTS (or API_ENDPOINT and API_KEY) to use a model elsewhere"
    "{more}.",
    "or_off": ", or EMBEDDED_MODEL to use other weights",
}

EMBEDDED_REASONS: Final[Mapping[str, str]] = {
    "no_wheel": "its runtime has no build for this platform.",
    "no_libgomp": "the system library libgomp1 is missing (apt-get install libgomp1).",
    "no_avx2": "this processor lacks the AVX2 instructions.",
    "no_pip": "this Python has no pip to download the weights with.",
    "download_failed": "its weights could not be downloaded.",
    "hash_mismatch": "the downloaded weights are not the expected ones, so they were discarded.",
    "disk_full": "there is no room for its weights on the disk.",
    "cache_unwritable": "the folder for its weights (CACHE_DIR) can't be written to.",
    "not_found": "the file that EMBEDDED_MODEL names does not exist.",
    "not_a_model": "the file that EMBEDDED_MODEL names is no GGUF model.",
    "load_failed": "it could not be loaded.",
    "keeps_crashing": "it stopped several times in a row.",
}

NOTICES: Final[Mapping[str, str]] = {
    "problems": "The configuration has a mistake",
    "problems_many": "The configuration has {count} mistakes",
    "none": "No endpoint is configured",
    "none_hint": "Set ENDPOINTS (or API_ENDPOINT and API_KEY), or EMBEDDED=on, and start again.",
    "wrong_key": "{alias} does not accept its key",
    "wrong_key_hint": "The host checks the secret {secret}: it is mistyped, or has run out.",
    "duplicate": "This Space has no key for real models",
    "duplicate_hint": "Duplicate this Space and set the secret HF_TOKEN to a token of yours with "
    "the right to make calls to Inference Providers. Nothing else is needed.",
    "alone": "This replica counts alone for now",
    "alone_hint": "It can't reach REDIS_URL, so limits and sessions are its own until it can.",
    "all_down": "No endpoint answers at the moment",
    "all_down_hint": "They are tried again by themselves. Messages you send are kept.",
}

USER_ERRORS: Final[Mapping[str, ErrorText]] = {
    "model_not_found": ERRORS["UnknownModel"],
    "cannot_check": ErrorText("This endpoint can't be checked.", "{reason}"),
    # ── requests to the page's API ──
    "invalid_request": ErrorText("The server can't read this request.", "{detail}"),
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
        "Open the page as http://localhost on the computer that runs it, or sign in with "
        "ADMIN_PASSWORD if it is set.",
    ),
    "check_endpoint_unknown": ErrorText(
        "This endpoint can't be checked.",
        "There is no endpoint named {name} any more. Choose another one.",
    ),
    "check_running": ErrorText(
        "This endpoint is already being checked.", "Wait until that check ends."
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
    "run_not_saved": ErrorText(
        "The run could not be saved on the server.",
        "Ask the operator to check the server's disk: {reason}.",
    ),
    "too_many_votes": ErrorText("You voted {limit} times in one minute.", "Try again in a minute."),
    "vote_unknown_model": ErrorText(
        "This vote is for a model that is not available here.",
        "Vote for answers of the models shown.",
    ),
    "votes_unavailable": ErrorText(
        "The votes are not available right now.",
        "Ask the operator to check the database. Your votes are kept in this browser.",
    ),
    # ── middleware ──
    "body_too_large": ErrorText(
        "This request is too large: the limit is {limit} MB.", "Send less."
    ),
    "body_too_slow": ErrorText(
        "The request arrived too slowly.", "Check your connection and try again."
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
"""Texts of errors in requests to the page, by `UserError.code`."""

SIGN_IN: Final[Mapping[str, str]] = {
    "title": "Sign in",
    "token": "Access token",
    "token_hint": "Whoever runs this page has given you one.",
    "password": "Host's password",
    "password_hint": "ADMIN_PASSWORD of this installation.",
    "go": "Continue",
    "hub": "Sign in with Hugging Face",
    "hub_everybody": "Any account will do. Your user name is read, and nothing is written.",
    "hub_named": "For users and organizations that the host has named. "
    "Where Hugging Face asks, grant access to the organization.",
    "hub_tab": "This opens a new tab: go on there.",
    "or": "or",
    "wrong": "That is not right. Check it and try again.",
    "throttled": "Too many wrong tries. Try again in {wait}.",
    "hub_refused": "This Hugging Face account is not among those that may come in. Ask the host "
    "to add it or its organization. To use another one, sign out at huggingface.co first.",
    "hub_denied": "You refused at Hugging Face, so nothing was done. Sign in again to come in.",
    "hub_stale": "That took too long, or began in another tab or browser. Sign in again.",
    "hub_down": "Hugging Face gave no usable answer. Try again in a minute.",
    "hub_often": "That failed too often from your network. Try again in five minutes.",
    "hub_secret": "Hugging Face does not know this page's OAuth app. "
    "That is the host's to mend: OAUTH_CLIENT_ID and OAUTH_CLIENT_SECRET.",
    "hub_unset": "Visitors sign in with Hugging Face here, but OAUTH_CLIENT_ID is not set. "
    "That is the host's to mend.",
    "nothing": "There is nothing to sign in to here.",
    "back": "Back to the page",
}
