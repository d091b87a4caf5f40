// A load client that is never the bottleneck: one thread, epoll, and it checks every token.
//
//     load --port P [--path /v1/chat/completions] [--header 'name: value']… [--callers 1]
//          [--stream] [--tokens 16] [--rate 0] [--ramp 0] [--open 0] [--warmup 0] [--seconds 5]
//
// Each caller sends its next request as soon as the response is complete, over one connection. The
// callers start spread over --ramp seconds; for at most --open seconds the client waits for those
// without a token; after --warmup more seconds, everything within --seconds is measured, and
// unfinished answers are abandoned. The tokens must be in order, complete, without duplicates,
// with the tag of the caller, and end with [DONE]. Prints one line of JSON; times are in ms.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"

enum { TAIL_BYTES = 64, TICK_MS = 2, REST_AFTER_FAILURE_MS = 50 };

typedef enum { IDLE, CONNECTING, WAITING_HEAD, IN_BODY } State;
typedef enum { BY_LENGTH, BY_CHUNKS, BY_CLOSE } Framing;

typedef struct {
    int socket;  // -1: not connected
    State state;
    Framing framing;
    Buffer in, out;
    bool closes, first_seen, ever_seen, in_window_seen;
    int64_t may_start_ns, sent_ns;
    size_t left;        // bytes of the body, or of the chunk
    bool in_chunk;      // BY_CHUNKS: `left` counts; otherwise a size line follows
    long tag, next;     // the number of the next token
    int field;          // position in a token: 0 none, 1 tag, 2 number, 3 time
    int64_t values[3];
    char tail[TAIL_BYTES + 1];
} Caller;

typedef struct {
    float *ms;
    size_t count, capacity;
} Samples;

static struct {
    int port, callers;
    long tokens;
    double rate, ramp_s, open_s, warmup_s, seconds;
    bool stream;
    const char *path;
    char headers[2048];
} options = {.callers = 1, .tokens = 16, .seconds = 5, .path = "/v1/chat/completions"};

static int poller;
static int64_t now, window_ns, end_ns;
static int open_callers;
static long answers, failed, wrong, tokens_in_window, total_tokens, last_tag;
static char first_failure[160];
static Samples totals, first_tokens, lags;

static void add(Samples *samples, int64_t ns) {
    if (now < window_ns) return;
    if (samples->count == samples->capacity) {
        samples->capacity = 2 * samples->capacity + 1024;
        samples->ms = grown(samples->ms, samples->capacity * sizeof *samples->ms);
    }
    samples->ms[samples->count++] = (float)(ns / 1e6);
}

static void note(const char *what) {
    if (first_failure[0]) return;
    snprintf(first_failure, sizeof first_failure, "%s", what);
    for (char *at = first_failure; *at; at++)  // printed as JSON without escaping
        if (*at == '"' || *at == '\\' || *at < ' ' || *at > '~') *at = ' ';
}

static void disconnect(Caller *caller) {
    if (caller->socket >= 0) close(caller->socket);
    caller->socket = -1;
    caller->state = IDLE;
    caller->in.length = 0;
}

static void fail(Caller *caller, const char *what) {
    note(what);
    failed++;
    disconnect(caller);
    caller->may_start_ns = now + REST_AFTER_FAILURE_MS * 1000000LL;
}

// Requests.

static void watch(Caller *caller, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = caller};
    epoll_ctl(poller, operation, caller->socket, &event);
}

static void send_question(Caller *caller) {
    char body[256], head[4096];
    caller->tag = ++last_tag;
    int body_length = snprintf(body, sizeof body,
                               "{\"model\":\"bench\",\"stream\":%s,\"messages\":[{\"role\":\"user\","
                               "\"content\":\"tokens=%ld rate=%g tag=%ld\"}]}",
                               options.stream ? "true" : "false", options.tokens, options.rate,
                               caller->tag);
    int head_length = snprintf(head, sizeof head,
                               "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n%s"
                               "content-type: application/json\r\ncontent-length: %d\r\n\r\n",
                               options.path, options.port, options.headers, body_length);
    caller->out.length = 0;
    append(&caller->out, head, (size_t)head_length);
    append(&caller->out, body, (size_t)body_length);
    caller->state = WAITING_HEAD;
    caller->next = caller->field = caller->first_seen = 0;
    memset(caller->tail, ' ', TAIL_BYTES);
    // A request is smaller than the socket's buffer, which is empty between two requests.
    ssize_t sent = send(caller->socket, caller->out.bytes, caller->out.length, MSG_NOSIGNAL);
    if (sent != (ssize_t)caller->out.length) fail(caller, "could not send");
}

static void begin(Caller *caller) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    caller->sent_ns = now;
    if (caller->socket >= 0) {
        send_question(caller);
        return;
    }
    caller->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(caller->socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    caller->state = CONNECTING;
    watch(caller, EPOLL_CTL_ADD, EPOLLOUT);
    if (connect(caller->socket, (struct sockaddr *)&address, sizeof address) &&
        errno != EINPROGRESS)
        fail(caller, strerror(errno));
}

static void connected(Caller *caller) {
    int error = 0;
    getsockopt(caller->socket, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    if (error) {
        fail(caller, strerror(error));
        return;
    }
    watch(caller, EPOLL_CTL_MOD, EPOLLIN);
    send_question(caller);
}

// Responses.

static void check_token(Caller *caller) {
    if (caller->values[0] != caller->tag || caller->values[1] != caller->next) {
        char what[120];
        snprintf(what, sizeof what, "token %ld of %ld instead of %ld of %ld",
                 (long)caller->values[1], (long)caller->values[0], caller->next, caller->tag);
        note(what);
        wrong++;
    }
    caller->next = caller->values[1] + 1;
    total_tokens++;
    if (now >= window_ns) {
        tokens_in_window++;
        caller->in_window_seen = true;
    }
    if (options.stream) add(&lags, now - caller->values[2]);
    if (!caller->first_seen) add(&first_tokens, now - caller->sent_ns);
    caller->first_seen = true;
    if (!caller->ever_seen) open_callers++;
    caller->ever_seen = true;
}

// Parses bytes of the body, cut anywhere, for "#tag.number@time".
static void read_body(Caller *caller, const char *bytes, size_t length) {
    static const char ends[] = {0, '.', '@'};
    for (const char *at = bytes, *end = bytes + length; at < end; at++) {
        if (!caller->field) {
            at = memchr(at, '#', (size_t)(end - at));
            if (!at) break;
            memset(caller->values, 0, sizeof caller->values);
            caller->field = 1;
        } else if (*at >= '0' && *at <= '9') {
            int64_t *value = &caller->values[caller->field - 1];
            *value = *value * 10 + (*at - '0');
        } else if (caller->field < 3 && *at == ends[caller->field]) {
            caller->field++;
        } else {
            if (caller->field == 3) check_token(caller);
            caller->field = 0;
        }
    }
    if (length >= TAIL_BYTES) {
        memcpy(caller->tail, bytes + length - TAIL_BYTES, TAIL_BYTES);
    } else {
        memmove(caller->tail, caller->tail + length, TAIL_BYTES - length);
        memcpy(caller->tail + TAIL_BYTES - length, bytes, length);
    }
}

static void answer_ended(Caller *caller) {
    char what[160];
    if (caller->next != options.tokens || (options.stream && !strstr(caller->tail, "[DONE]"))) {
        snprintf(what, sizeof what, "an answer ended after %ld of %ld tokens with %.60s",
                 caller->next, options.tokens, caller->tail);
        note(what);
        wrong++;
    }
    if (now >= window_ns) answers++;
    add(&totals, now - caller->sent_ns);
    caller->state = IDLE;
    if (caller->closes) disconnect(caller);
    begin(caller);
}

static bool has(const char *head, const char *line) { return strcasestr(head, line) != NULL; }

// Returns the size of the head, 0 if it is incomplete; an error status is a failure.
static size_t read_head(Caller *caller) {
    char *bytes = caller->in.bytes, *end = strstr(bytes, "\r\n\r\n");
    if (!end) return 0;
    *end = 0;
    if (strncmp(bytes, "HTTP/1.1 200", 12)) {
        char what[120];
        snprintf(what, sizeof what, "%.40s: %.70s", bytes, end + 4);
        fail(caller, what);
        return 0;
    }
    const char *length = strcasestr(bytes, "\r\ncontent-length:");
    bool chunked = has(bytes, "\r\ntransfer-encoding: chunked");
    caller->framing = chunked ? BY_CHUNKS : length ? BY_LENGTH : BY_CLOSE;
    caller->left = length ? strtoul(length + 17, NULL, 10) : 0;
    caller->closes = caller->framing == BY_CLOSE || has(bytes, "\r\nconnection: close");
    caller->in_chunk = false;
    caller->state = IN_BODY;
    return (size_t)(end - bytes) + 4;
}

// Returns how many bytes were consumed; 0 if more are needed.
static size_t read_some(Caller *caller, const char *bytes, size_t length) {
    if (caller->framing == BY_CHUNKS && !caller->in_chunk) {
        const char *end = memmem(bytes, length, "\r\n", 2);
        if (!end) return 0;
        caller->left = strtoul(bytes, NULL, 16) + 2;  // with the line end after it
        if (caller->left == 2 && (size_t)(end - bytes) + 4 > length) return 0;
        caller->in_chunk = true;
        if (caller->left == 2) answer_ended(caller);
        return (size_t)(end - bytes) + (caller->left == 2 ? 4 : 2);
    }
    size_t taken = length, line_end = caller->framing == BY_CHUNKS ? 2 : 0;
    if (caller->framing != BY_CLOSE) {
        size_t text = caller->left > line_end ? caller->left - line_end : 0;
        if (taken > caller->left) taken = caller->left;
        caller->left -= taken;
        read_body(caller, bytes, taken < text ? taken : text);
    } else {
        read_body(caller, bytes, taken);
    }
    if (!caller->left && caller->framing == BY_CHUNKS) caller->in_chunk = false;
    if (!caller->left && caller->framing == BY_LENGTH) answer_ended(caller);
    return taken;
}

static void listen_to(Caller *caller) {
    Buffer *in = &caller->in;
    char *room = reserve(in, 65537);
    ssize_t got = recv(caller->socket, room, 65536, 0);
    now = now_ns();
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        if (caller->state == IN_BODY && caller->framing == BY_CLOSE) answer_ended(caller);
        else fail(caller, got ? strerror(errno) : "the connection was closed");
        return;
    }
    in->length += (size_t)got;
    in->bytes[in->length] = 0;
    size_t used = caller->state == WAITING_HEAD ? read_head(caller) : 0;
    while (caller->state == IN_BODY && used < in->length) {
        size_t taken = read_some(caller, in->bytes + used, in->length - used);
        if (!taken) break;
        used += taken;
    }
    if (used >= in->length) {
        in->length = 0;
    } else if (used) {
        memmove(in->bytes, in->bytes + used, in->length - used + 1);
        in->length -= used;
    }
}

// The report.

static int by_size(const void *a, const void *b) {
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

static void print_samples(const char *name, Samples *samples) {
    static const double shares[] = {0.5, 0.99, 1};
    static const char *names[] = {"p50", "p99", "max"};
    printf(",\"%s\":", name);
    if (!samples->count) {
        printf("null");
        return;
    }
    qsort(samples->ms, samples->count, sizeof *samples->ms, by_size);
    for (int i = 0; i < 3; i++) {
        size_t place = (size_t)(shares[i] * (double)(samples->count - 1) + 0.5);
        printf("%s\"%s\":%.3f", i ? "," : "{", names[i], (double)samples->ms[place]);
    }
    printf(",\"count\":%zu}", samples->count);
}

static void print_all(const Caller *callers) {
    double window_s = (double)(now - window_ns) / 1e9;
    int silent = 0;
    for (int i = 0; i < options.callers; i++) silent += !callers[i].in_window_seen;
    printf("{\"callers\":%d,\"silent\":%d,\"answers\":%ld,\"failed\":%ld,\"wrong\":%ld,"
           "\"first_failure\":\"%s\",\"total_tokens\":%ld,\"requests_per_s\":%.1f,"
           "\"tokens_per_s\":%.1f",
           options.callers, silent, answers, failed, wrong, first_failure, total_tokens,
           (double)answers / window_s, (double)tokens_in_window / window_s);
    print_samples("total_ms", &totals);
    print_samples("first_token_ms", &first_tokens);
    print_samples("lag_ms", &lags);
    printf("}\n");
}

static void read_options(int count, char **words) {
    static const struct option known[] = {
        {"port", 1, 0, 'p'},   {"path", 1, 0, 'a'},   {"header", 1, 0, 'h'}, {"callers", 1, 0, 'c'},
        {"stream", 0, 0, 's'}, {"tokens", 1, 0, 't'}, {"rate", 1, 0, 'r'},   {"ramp", 1, 0, 'm'},
        {"open", 1, 0, 'o'},   {"warmup", 1, 0, 'w'}, {"seconds", 1, 0, 'd'}, {0}};
    for (int option; (option = getopt_long(count, words, "", known, NULL)) != -1;) {
        size_t used = strlen(options.headers);
        switch (option) {
            case 'p': options.port = atoi(optarg); break;
            case 'a': options.path = optarg; break;
            case 'h':
                snprintf(options.headers + used, sizeof options.headers - used, "%s\r\n", optarg);
                break;
            case 'c': options.callers = atoi(optarg); break;
            case 's': options.stream = true; break;
            case 't': options.tokens = atol(optarg); break;
            case 'r': options.rate = atof(optarg); break;
            case 'm': options.ramp_s = atof(optarg); break;
            case 'o': options.open_s = atof(optarg); break;
            case 'w': options.warmup_s = atof(optarg); break;
            case 'd': options.seconds = atof(optarg); break;
            default: exit(2);
        }
    }
    if (!options.port || options.callers < 1) {
        fprintf(stderr, "load: --port and at least one of --callers are required\n");
        exit(2);
    }
}

int main(int count, char **words) {
    read_options(count, words);
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(0);
    Caller *callers = grown(NULL, (size_t)options.callers * sizeof *callers);
    int64_t started_ns = now = now_ns();
    int64_t open_until_ns = started_ns + (int64_t)((options.ramp_s + options.open_s) * 1e9);
    int64_t warmup_ns = (int64_t)(options.warmup_s * 1e9);
    window_ns = started_ns + (int64_t)(options.ramp_s * 1e9) + warmup_ns;
    end_ns = window_ns + (int64_t)(options.seconds * 1e9);
    for (int i = 0; i < options.callers; i++) {
        double share = (double)i / options.callers;
        callers[i] = (Caller){.socket = -1,
                              .may_start_ns = started_ns + (int64_t)(share * options.ramp_s * 1e9)};
    }
    while ((now = now_ns()) < end_ns) {
        if (open_callers < options.callers && now < open_until_ns && window_ns < now + warmup_ns) {
            window_ns = now + warmup_ns;
            end_ns = window_ns + (int64_t)(options.seconds * 1e9);
        }
        for (int i = 0; i < options.callers; i++)
            if (callers[i].state == IDLE && callers[i].may_start_ns <= now) begin(&callers[i]);
        struct epoll_event events[256];
        int ready = epoll_wait(poller, events, 256, TICK_MS);
        for (int i = 0; i < ready; i++) {
            Caller *caller = events[i].data.ptr;
            now = now_ns();
            if (caller->state == CONNECTING) connected(caller);
            else if (caller->state != IDLE) listen_to(caller);
        }
    }
    print_all(callers);
}
