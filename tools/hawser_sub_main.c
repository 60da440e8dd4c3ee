// hawser-sub: subscribes like an application would and prints every message as it comes, one line
// each and flushed. On Ctrl-C or SIGTERM it acknowledges, says good-bye and exits with 0.
#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <signal.h>
#include <unistd.h>

#include "buf.h"
#include "bytes.h"
#include "hawser.h"

enum { EXIT_STOPPED = 1, EXIT_USAGE = 2, TOKEN_FILE_MAX = 64 * 1024 };
enum { OPT_JSON = 256, OPT_EVENTS, OPT_TOKEN_FILE, OPT_POSITIONS, OPT_TAGS };

struct arguments {
    const char *dispatchers[HAWSER_ENDPOINTS_MAX], *rooms[HAWSER_ENDPOINTS_MAX]; // from argv
    size_t dispatcher_count, room_count;
    char *tokens[HAWSER_BINDINGS_MAX]; // owned
    size_t token_count;
    char *tags[HAWSER_TAGS_MAX]; // owned
    size_t tag_count;
    const char *device, *positions;
    uint64_t count; // 0 = no end
    bool json, events, quiet;
};

struct sub {
    const struct arguments *arguments;
    uint64_t seen;
    size_t json_flags;
    bool enough, output_broken;
};

static struct hawser_client *client; // for the signal handler

static const struct argp_option option_table[] = {
    {"dispatcher", 'd', "HOST:PORT", 0, "ask this dispatcher for a room (repeatable)", 0},
    {"room", 'r', "HOST:PORT", 0, "log in at this room (repeatable)", 0},
    {"device", 'D', "ID", 0, "this device's id", 0},
    {"token", 't', "TOKEN", 0, "a client token: one for each product (repeatable)", 0},
    {"token-file", OPT_TOKEN_FILE, "FILE", 0, "a token from a file (repeatable; - = stdin)", 0},
    {"tags", OPT_TAGS, "A,B", 0, "groups to be in", 0},
    {"positions", OPT_POSITIONS, "FILE", 0, "keep what was handled in FILE", 0},
    {"json", OPT_JSON, NULL, 0, "one JSON object a line", 0},
    {"events", OPT_EVENTS, NULL, 0, "with --json: gaps, resets and states on stdout, too", 0},
    {"count", 'n', "N", 0, "exit with 0 after N messages", 0},
    {"quiet", 'q', NULL, 0, "nothing on stderr but the last error", 0},
    {0},
};

// --- arguments

static char *token_from_file(const char *path) {
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct buf b = BUF_EMPTY;
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0 && b.len < TOKEN_FILE_MAX) {
        got = read(fd, buf_reserve(&b, 4096), 4096);
        b.len += got > 0 ? (size_t)got : 0;
    }
    if (fd > STDIN_FILENO)
        close(fd);
    while (b.len > 0 && isspace(b.data[b.len - 1]))
        b.len--;
    char *token = got < 0 || b.len == 0 ? NULL : hw_strndup((const char *)b.data, b.len);
    buf_free(&b);
    return token;
}

static void add_token(struct arguments *a, char *token, struct argp_state *state) {
    if (a->token_count == HAWSER_BINDINGS_MAX)
        argp_error(state, "more than %d tokens", HAWSER_BINDINGS_MAX);
    else
        a->tokens[a->token_count++] = token;
}

static void add_endpoint(const char **list, size_t *count, const char *text,
                         struct argp_state *state) {
    if (*count == HAWSER_ENDPOINTS_MAX)
        argp_error(state, "more than %d endpoints", HAWSER_ENDPOINTS_MAX);
    else
        list[(*count)++] = text;
}

static void add_tags(struct arguments *a, const char *text, struct argp_state *state) {
    while (*text) {
        size_t len = strcspn(text, ",");
        if (len == 0 || a->tag_count == HAWSER_TAGS_MAX)
            argp_error(state, "--tags: up to %d, separated by commas", HAWSER_TAGS_MAX);
        else
            a->tags[a->tag_count++] = hw_strndup(text, len);
        text += len + (text[len] == ',');
    }
}

static uint64_t read_count(const char *text, struct argp_state *state) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || text[0] == '-' || value == 0)
        argp_error(state, "--count: a number from 1");
    return value;
}

static void check_arguments(const struct arguments *a, struct argp_state *state) {
    if (a->dispatcher_count + a->room_count == 0)
        argp_error(state, "--dispatcher or --room is needed");
    if (!a->device)
        argp_error(state, "--device is needed");
    if (a->token_count == 0)
        argp_error(state, "--token or --token-file is needed");
    if (a->events && !a->json)
        argp_error(state, "--events needs --json");
}

static error_t sub_parse_option(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    char *token = NULL;
    switch (key) {
    case 'd':
        add_endpoint(a->dispatchers, &a->dispatcher_count, arg, state);
        return 0;
    case 'r':
        add_endpoint(a->rooms, &a->room_count, arg, state);
        return 0;
    case 'D':
        a->device = arg;
        return 0;
    case 't':
        add_token(a, hw_strdup(arg), state);
        return 0;
    case OPT_TOKEN_FILE:
        token = token_from_file(arg);
        if (!token)
            argp_failure(state, EXIT_USAGE, 0, "no token in %s", arg);
        add_token(a, token, state);
        return 0;
    case OPT_TAGS:
        add_tags(a, arg, state);
        return 0;
    case OPT_POSITIONS:
        a->positions = arg;
        return 0;
    case OPT_JSON:
        a->json = true;
        return 0;
    case OPT_EVENTS:
        a->events = true;
        return 0;
    case 'n':
        a->count = read_count(arg, state);
        return 0;
    case 'q':
        a->quiet = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument: %s", arg);
        return 0;
    case ARGP_KEY_END:
        check_arguments(a, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// --- output

// Someone who stops reading ends us like Ctrl-C does.
static void out_flush(struct sub *s) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return;
    s->output_broken = true;
    hawser_stop(client);
}

// U+0080..9F are control characters as well: C2 and one byte.
static bool is_control(const uint8_t *data, size_t len) {
    return data[0] < 0x20 || data[0] == 0x7f ||
           (len > 1 && data[0] == 0xc2 && data[1] >= 0x80 && data[1] < 0xa0);
}

// Printable UTF-8 as it is, the rest as \xNN, \n, \t and \\, so that a message stays one line, and
// nothing that came from elsewhere commands the terminal.
static void put_escaped(FILE *to, const void *bytes, size_t len) {
    const uint8_t *data = bytes;
    bool text = utf8_is_valid(data, len, NULL);
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n')
            fputs("\\n", to);
        else if (data[i] == '\t')
            fputs("\\t", to);
        else if (data[i] == '\\')
            fputs("\\\\", to);
        else if ((data[i] >= 0x80 && !text) || is_control(data + i, len - i))
            fprintf(to, "\\x%02x", data[i]);
        else
            putc(data[i], to);
    }
}

static void put_json(struct sub *s, json_t *object) {
    json_dumpf(object, stdout, JSON_COMPACT | s->json_flags);
    putchar('\n');
    json_decref(object);
    out_flush(s);
}

static json_t *number(uint64_t value) {
    return json_integer((json_int_t)value);
}

static json_t *payload_base64(const struct hawser_message *m) {
    size_t out_len = 4 * ((m->payload_len + 2) / 3);
    char *text = hw_malloc(out_len + 1);
    EVP_EncodeBlock((unsigned char *)text, m->payload, (int)m->payload_len);
    json_t *value = json_stringn(text, out_len);
    free(text);
    return value;
}

static void message_json(struct sub *s, const struct hawser_message *m) {
    json_t *o = json_object();
    json_object_set_new(o, "product", json_string(m->product));
    json_object_set_new(o, "user", json_string(m->user));
    json_object_set_new(o, "stream", json_string(hawser_stream_name(m->stream)));
    json_object_set_new(o, "seq", number(m->seq));
    json_object_set_new(o, "id", json_string(m->id));
    if (utf8_is_valid(m->payload, m->payload_len, NULL))
        json_object_set_new(o, "payload", json_stringn(m->payload, m->payload_len));
    else
        json_object_set_new(o, "payload_base64", payload_base64(m));
    json_object_set_new(o, "sent_at", number(m->sent_ms));
    json_object_set_new(o, "content_type", json_string(m->content_type));
    if (*m->collapse_key)
        json_object_set_new(o, "collapse_key", json_string(m->collapse_key));
    put_json(s, o);
}

static int on_message(void *arg, const struct hawser_message *m) {
    struct sub *s = arg;
    if (s->enough || s->output_broken)
        return 1; // left to the next run
    if (s->arguments->json) {
        message_json(s, m);
    } else {
        printf("%s %" PRIu64 " ", hawser_stream_name(m->stream), m->seq);
        put_escaped(stdout, m->id, strlen(m->id));
        putchar(' ');
        put_escaped(stdout, m->payload, m->payload_len);
        putchar('\n');
        out_flush(s);
    }
    if (s->output_broken)
        return 1;
    s->enough = ++s->seen == s->arguments->count;
    if (s->enough)
        hawser_stop(client);
    return 0;
}

// --- events

// One event: as an object with --events, and as text unless quiet. fields is taken.
static void event(struct sub *s, const char *name, json_t *fields) {
    const char *key;
    json_t *value;
    if (!s->arguments->quiet) {
        fprintf(stderr, "hawser-sub: %s", name);
        json_object_foreach(fields, key, value) {
            char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
            fprintf(stderr, " %s=%s", key, text ? text : "?");
            free(text);
        }
        fputc('\n', stderr);
    }
    if (s->arguments->events) {
        json_object_set_new(fields, "event", json_string(name));
        put_json(s, fields);
    } else {
        json_decref(fields);
    }
}

static json_t *stream_fields(const char *product, const char *user, enum hawser_stream stream) {
    json_t *o = json_object();
    json_object_set_new(o, "product", json_string(product));
    json_object_set_new(o, "user", json_string(user));
    json_object_set_new(o, "stream", json_string(hawser_stream_name(stream)));
    return o;
}

static void sub_on_gap(void *arg, const struct hawser_gap *gap) {
    json_t *o = stream_fields(gap->product, gap->user, gap->stream);
    json_object_set_new(o, "first", number(gap->first));
    json_object_set_new(o, "last", number(gap->last));
    json_object_set_new(o, "count_max", number(gap->count_max));
    json_object_set_new(o, "reason", json_string(hawser_gap_name(gap->reason)));
    event(arg, "gap", o);
}

static void sub_on_reset(void *arg, const struct hawser_reset *reset) {
    json_t *o = stream_fields(reset->product, reset->user, reset->stream);
    json_object_set_new(o, "epoch", number(reset->epoch));
    json_object_set_new(o, "seq", number(reset->seq));
    json_object_set_new(o, "reason", json_string(reset->reason));
    event(arg, "reset", o);
}

static void sub_on_synced(void *arg, int binding, const char *product, const char *user) {
    (void)binding;
    json_t *o = json_object();
    json_object_set_new(o, "product", json_string(product));
    json_object_set_new(o, "user", json_string(user));
    event(arg, "synced", o);
}

static void on_state(void *arg, const struct hawser_status *status) {
    json_t *o = json_object();
    json_object_set_new(o, "state", json_string(hawser_state_name(status->state)));
    if (status->code != 0)
        json_object_set_new(o, "code", json_integer(status->code));
    if (status->reason[0])
        json_object_set_new(o, "reason", json_string(status->reason));
    if (status->retry_ms != UINT64_MAX)
        json_object_set_new(o, "retry_ms", number(status->retry_ms));
    event(arg, "state", o);
}

static void on_binding(void *arg, const struct hawser_binding_event *e) {
    json_t *o = json_object();
    json_object_set_new(o, "product", json_string(e->product));
    json_object_set_new(o, "user", json_string(e->user));
    if (e->code != 0)
        json_object_set_new(o, "code", json_integer(e->code));
    if (e->reason[0])
        json_object_set_new(o, "reason", json_string(e->reason));
    event(arg, e->bound ? "bound" : "unbound", o);
}

static void on_notice(void *arg, const char *text) {
    struct sub *s = arg;
    if (s->arguments->quiet)
        return;
    fputs("hawser-sub: ", stderr);
    put_escaped(stderr, text, strlen(text));
    fputc('\n', stderr);
}

// --- main

static void sub_on_signal(int signal_number) {
    (void)signal_number;
    hawser_stop(client);
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = sub_on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL); // a closed stdout is seen when writing
}

static int bind_all(const struct arguments *a) {
    for (size_t i = 0; i < a->token_count; i++) {
        int id = hawser_bind(client, a->tokens[i], (const char *const *)a->tags, a->tag_count);
        if (id > 0)
            continue;
        fprintf(stderr, "hawser-sub: a token or tags cannot be used: %s\n", strerror(-id));
        return EXIT_USAGE;
    }
    return 0;
}

static int sub_run(const struct arguments *a, struct sub *s) {
    catch_signals();
    int failed = bind_all(a);
    if (failed != 0)
        return failed;
    uint32_t code = hawser_run(client);
    if (code != 0) {
        const char *reason = hawser_status_get(client)->reason;
        fprintf(stderr, "hawser-sub: stopped by the cluster: %" PRIu32 " ", code);
        put_escaped(stderr, reason, strlen(reason));
        fputc('\n', stderr);
        return EXIT_STOPPED;
    }
    if (s->output_broken)
        fprintf(stderr, "hawser-sub: cannot write to standard output\n");
    return s->output_broken ? EXIT_STOPPED : 0;
}

static void free_arguments(struct arguments *a) {
    for (size_t i = 0; i < a->token_count; i++)
        free(a->tokens[i]);
    for (size_t i = 0; i < a->tag_count; i++)
        free(a->tags[i]);
}

int main(int argc, char **argv) {
    struct arguments a = {0};
    setvbuf(stderr, NULL, _IOLBF, 0); // a line is one write, also beside another program's
    const struct argp parser = {.options = option_table,
                                .parser = sub_parse_option,
                                .doc = "Receives pushed messages and prints them."};
    argp_program_version = "hawser-sub " HAWSER_VERSION;
    argp_err_exit_status = EXIT_USAGE;
    if (argp_parse(&parser, argc, argv, 0, NULL, &a) != 0)
        return EXIT_USAGE;
    struct sub s = {.arguments = &a, .json_flags = isatty(STDOUT_FILENO) ? JSON_ENSURE_ASCII : 0};
    struct hawser_options options = {
        .dispatchers = a.dispatchers,
        .dispatcher_count = a.dispatcher_count,
        .rooms = a.rooms,
        .room_count = a.room_count,
        .device = a.device,
        .positions_path = a.positions,
        .callbacks = {.on_message = on_message,
                      .on_gap = sub_on_gap,
                      .on_reset = sub_on_reset,
                      .on_synced = sub_on_synced,
                      .on_state = on_state,
                      .on_binding = on_binding,
                      .on_notice = on_notice},
        .arg = &s,
    };
    char error[HAWSER_ERROR_BYTES];
    client = hawser_new(&options, error, sizeof(error));
    if (!client)
        fprintf(stderr, "hawser-sub: %s\n", error);
    int status = client ? sub_run(&a, &s) : EXIT_USAGE;
    hawser_free(client);
    free_arguments(&a);
    return status;
}
