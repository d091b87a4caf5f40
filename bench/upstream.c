// A stand-in endpoint that is never the bottleneck: one thread, epoll, no work between tokens.
//
//     upstream PORT
//
// Serves GET /v1/models, GET /health and POST /v1/chat/completions on 127.0.0.1. The last
// "tokens=100 rate=50 tag=7" in a request determines the answer: 100 tokens, 50 per second (0: as
// fast as possible), each "#7.12@0000123456789012 ": the tag, the number of the token from 0, and
// its creation time in nanoseconds of CLOCK_MONOTONIC, which all processes of the machine share.
// A paragraph ends every 40 tokens. "delay=0.3" is the number of seconds before the first token,
// or before a whole response.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"

enum { EVENT_BYTES = 512, BATCH_TOKENS = 64, PARAGRAPH_TOKENS = 40, INPUT_LIMIT = 16 << 20 };

typedef struct Caller {
    int socket;
    Buffer in, out;
    bool streaming, whole, paced, include_usage, watches_output;
    long tag, tokens, next;
    int64_t started_ns, period_ns;
    size_t position;  // in the heap, from 1; 0 while no token is due
} Caller;

static int poller;
static Caller **heap;  // by the time of the next token; heap[0] is not used
static size_t heap_length, heap_capacity;

// The heap of callers, ordered by the time of their next token.

static int64_t due_ns(const Caller *caller) {
    return caller->started_ns + caller->next * caller->period_ns;
}

static void put_at(size_t position, Caller *caller) {
    heap[position] = caller;
    caller->position = position;
}

static void settle(size_t position) {
    Caller *caller = heap[position];
    for (; position > 1 && due_ns(heap[position / 2]) > due_ns(caller); position /= 2)
        put_at(position, heap[position / 2]);
    for (size_t child; (child = 2 * position) <= heap_length; position = child) {
        if (child < heap_length && due_ns(heap[child + 1]) < due_ns(heap[child])) child++;
        if (due_ns(heap[child]) >= due_ns(caller)) break;
        put_at(position, heap[child]);
    }
    put_at(position, caller);
}

static void schedule(Caller *caller) {
    if (heap_length + 2 > heap_capacity) {
        heap_capacity = 2 * heap_capacity + 64;
        heap = grown(heap, heap_capacity * sizeof *heap);
    }
    put_at(++heap_length, caller);
    settle(heap_length);
}

static void unschedule(Caller *caller) {
    size_t position = caller->position;
    if (!position) return;
    caller->position = 0;
    Caller *last = heap[heap_length--];
    if (last == caller) return;
    put_at(position, last);
    settle(position);
}

// The responses.

static void append_chunk(Buffer *out, const char *event, int length) {
    char size[16];
    append(out, size, (size_t)snprintf(size, sizeof size, "%x\r\n", length));
    append(out, event, (size_t)length);
    append(out, "\r\n", 2);
}

static int token_text(char *text, const Caller *caller, long number) {
    const char *gap = number % PARAGRAPH_TOKENS == PARAGRAPH_TOKENS - 1 ? "\\n\\n" : " ";
    return sprintf(text, "#%ld.%ld@%016lld%s", caller->tag, number, (long long)now_ns(), gap);
}

static void append_event(Caller *caller, const char *choices_and_more) {
    char event[EVENT_BYTES];
    int length = snprintf(event, sizeof event,
                          "data: {\"id\":\"chatcmpl-%ld\",\"object\":\"chat.completion.chunk\","
                          "\"created\":1700000000,\"model\":\"bench\",%s}\n\n",
                          caller->tag, choices_and_more);
    append_chunk(&caller->out, event, length);
}

static void append_delta(Caller *caller, const char *delta, const char *finish) {
    char choices[EVENT_BYTES / 2];
    snprintf(choices, sizeof choices,
             "\"choices\":[{\"index\":0,\"delta\":{%s},\"finish_reason\":%s}]", delta, finish);
    append_event(caller, choices);
}

static void append_token(Caller *caller) {
    char delta[128] = "\"content\":\"";
    int length = (int)strlen(delta);
    length += token_text(delta + length, caller, caller->next++);
    strcpy(delta + length, "\"");
    append_delta(caller, delta, "null");
}

static int usage_text(char *text, const Caller *caller) {
    return sprintf(text, "\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":%ld,"
                   "\"total_tokens\":%ld}", caller->tokens, caller->tokens + 8);
}

static void append_end(Caller *caller) {
    char usage[EVENT_BYTES / 2] = "\"choices\":[],";
    append_delta(caller, "", "\"stop\"");
    if (caller->include_usage) {
        usage_text(usage + strlen(usage), caller);
        append_event(caller, usage);
    }
    append_chunk(&caller->out, "data: [DONE]\n\n", 14);
    append(&caller->out, "0\r\n\r\n", 5);
}

static void append_whole(Caller *caller, const char *status, const char *json, size_t length) {
    char head[256];
    int head_length = sprintf(head, "HTTP/1.1 %s\r\ncontent-type: application/json\r\n"
                              "content-length: %zu\r\n\r\n", status, length);
    append(&caller->out, head, (size_t)head_length);
    append(&caller->out, json, length);
}

static void append_answer(Caller *caller) {
    Buffer json = {0};
    char text[EVENT_BYTES], usage[128];
    int length = snprintf(
        text, sizeof text,
        "{\"id\":\"chatcmpl-%ld\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":"
        "\"bench\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"",
        caller->tag);
    append(&json, text, (size_t)length);
    for (long number = 0; number < caller->tokens; number++)
        append(&json, text, (size_t)token_text(text, caller, number));
    usage_text(usage, caller);
    length = snprintf(text, sizeof text, "\"},\"finish_reason\":\"stop\"}],%s}", usage);
    append(&json, text, (size_t)length);
    append_whole(caller, "200 OK", json.bytes, json.length);
    free(json.bytes);
}

// The network.

static void drop(Caller *caller) {
    unschedule(caller);
    close(caller->socket);
    free(caller->in.bytes);
    free(caller->out.bytes);
    free(caller);
}

static void watch(Caller *caller, bool output) {
    if (caller->watches_output == output) return;
    caller->watches_output = output;
    struct epoll_event event = {.events = EPOLLIN | (output ? EPOLLOUT : 0), .data.ptr = caller};
    epoll_ctl(poller, EPOLL_CTL_MOD, caller->socket, &event);
}

// Returns false if the caller disconnected.
static bool flush(Caller *caller) {
    Buffer *out = &caller->out;
    while (out->sent < out->length) {
        ssize_t sent = send(caller->socket, out->bytes + out->sent, out->length - out->sent,
                            MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent < 0) break;
        out->sent += (size_t)sent;
    }
    if (out->sent == out->length) out->sent = out->length = 0;
    watch(caller, out->length > 0);
    return true;
}

static void make_tokens(Caller *caller) {
    int64_t now = now_ns();
    if (caller->whole) {
        if (due_ns(caller) > now) return;
        append_answer(caller);
        caller->streaming = false;
        return;
    }
    long limit = caller->paced ? caller->tokens : caller->next + BATCH_TOKENS;
    if (limit > caller->tokens) limit = caller->tokens;
    while (caller->next < limit && (!caller->paced || due_ns(caller) <= now)) append_token(caller);
    if (caller->next < caller->tokens) return;
    append_end(caller);
    caller->streaming = false;
}

// Creates the tokens that are due, and sends them. Returns false if the caller disconnected.
static bool pump(Caller *caller) {
    if (!flush(caller)) return false;
    while (caller->streaming && (caller->paced || !caller->out.length)) {
        make_tokens(caller);
        if (!flush(caller)) return false;
        if (caller->paced) break;
    }
    bool has_time = caller->streaming && caller->paced;
    if (has_time && !caller->position) schedule(caller);
    else if (has_time) settle(caller->position);
    else unschedule(caller);
    return true;
}

static bool says_true(const char *json, const char *field) {
    const char *found = strstr(json, field);
    if (!found) return false;
    found += strlen(field);
    return found[strspn(found, "\": ")] == 't';
}

static double number_after(const char *json, const char *name, double otherwise) {
    const char *last = NULL;
    for (const char *at = json; (at = strstr(at, name)); at += strlen(name)) last = at;
    return last ? strtod(last + strlen(name), NULL) : otherwise;
}

static void answer(Caller *caller, const char *head, const char *body) {
    static const char models[] =
        "{\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":\"model\",\"created\":"
        "1700000000,\"owned_by\":\"bench\"}]}";
    static const char missing[] = "{\"error\":{\"message\":\"no such address\"}}";
    static const char stream[] =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    if (!strncmp(head, "GET ", 4) && strstr(head, "/models")) {
        append_whole(caller, "200 OK", models, sizeof models - 1);
        return;
    }
    if (!strncmp(head, "GET /health", 11)) {  // sglang-router asks before it sends anything
        append_whole(caller, "200 OK", "{}", 2);
        return;
    }
    if (strncmp(head, "POST ", 5) || !strstr(head, "/chat/completions")) {
        append_whole(caller, "404 Not Found", missing, sizeof missing - 1);
        return;
    }
    double rate = number_after(body, "rate=", 0);
    caller->tokens = (long)number_after(body, "tokens=", 16);
    caller->tag = (long)number_after(body, "tag=", 0);
    double delay = number_after(body, "delay=", 0);
    caller->next = 0;
    caller->whole = !says_true(body, "\"stream\"");
    if (caller->whole && delay <= 0) {
        append_answer(caller);
        return;
    }
    caller->streaming = true;
    caller->paced = rate > 0 || delay > 0;
    caller->include_usage = says_true(body, "\"include_usage\"");
    caller->started_ns = now_ns() + (int64_t)(1e9 * delay);
    caller->period_ns = rate > 0 ? (int64_t)(1e9 / rate) : 0;
    if (caller->whole) return;
    append(&caller->out, stream, sizeof stream - 1);
    append_delta(caller, "\"role\":\"assistant\",\"content\":\"\"", "null");
}

// Returns the size of the first complete request in the buffer, 0 if it is incomplete.
static size_t request_length(const Buffer *in, size_t *head_length) {
    const char *end = strstr(in->bytes, "\r\n\r\n");
    if (!end) return 0;
    *head_length = (size_t)(end - in->bytes) + 4;
    const char *length = strcasestr(in->bytes, "\r\ncontent-length:");
    if (length && length < end) {
        size_t whole = *head_length + strtoul(length + 17, NULL, 10);
        return whole <= in->length ? whole : 0;
    }
    const char *chunked = strcasestr(in->bytes, "\r\ntransfer-encoding: chunked");
    if (chunked && chunked < end) {
        const char *last = strstr(end + 2, "\r\n0\r\n\r\n");
        return last ? (size_t)(last - in->bytes) + 7 : 0;
    }
    return *head_length;
}

// Returns false if the caller disconnected.
static bool take_requests(Caller *caller) {
    Buffer *in = &caller->in;
    size_t head, whole;
    while (in->length && !caller->streaming && (whole = request_length(in, &head))) {
        char *bytes = in->bytes, after = bytes[whole];
        bytes[whole] = bytes[head - 1] = 0;
        answer(caller, bytes, bytes + head);
        bytes[whole] = after;
        memmove(bytes, bytes + whole, in->length - whole + 1);
        in->length -= whole;
        if (!pump(caller)) return false;
    }
    return true;
}

static bool receive(Caller *caller) {
    char *free_bytes = reserve(&caller->in, 65537);
    ssize_t got = recv(caller->socket, free_bytes, 65536, 0);
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0 || caller->in.length > INPUT_LIMIT) return false;
    caller->in.length += (size_t)got;
    caller->in.bytes[caller->in.length] = 0;
    return take_requests(caller);
}

static void welcome(int listener) {
    for (int socket; (socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        Caller *caller = grown(NULL, sizeof *caller);
        *caller = (Caller){.socket = socket};
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = caller};
        epoll_ctl(poller, EPOLL_CTL_ADD, socket, &event);
    }
}

static int listen_on(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("upstream");
        exit(1);
    }
    return listener;
}

static void send_due(void) {
    int64_t now = now_ns();  // fixed, so that a late endpoint still accepts new requests
    while (heap_length && due_ns(heap[1]) <= now) {
        Caller *caller = heap[1];
        if (!pump(caller) || !take_requests(caller)) drop(caller);
    }
}

int main(int count, char **words) {
    if (count != 2) {
        fprintf(stderr, "usage: upstream PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(atoi(words[1]));
    poller = epoll_create1(0);
    struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &listening);
    for (;;) {
        struct epoll_event events[256];
        int64_t wait_ns = heap_length ? due_ns(heap[1]) - now_ns() : -1;
        int wait_ms = !heap_length ? -1 : wait_ns <= 0 ? 0 : (int)(wait_ns / 1000000 + 1);
        int ready = epoll_wait(poller, events, 256, wait_ms);
        for (int i = 0; i < ready; i++) {
            Caller *caller = events[i].data.ptr;
            if (!caller) {
                welcome(listener);
                continue;
            }
            bool there = !(events[i].events & EPOLLOUT) || (pump(caller) && take_requests(caller));
            if (there && events[i].events & ~(uint32_t)EPOLLOUT) there = receive(caller);
            if (!there) drop(caller);
        }
        send_due();
    }
}
