// hawserctl: administers a cluster over the center's HTTP API, and writes a first configuration.
//
// Every command is a row of `commands`; all but `init` and `recover` are one HTTP call whose JSON
// answer is printed. The center and the key come from --center and --key, or from a trial cluster's
// folder (--dir D: D/cluster.json), or from HAWSER_CENTER and HAWSER_KEY.
#include <argp.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "bytes.h"
#include "crypto.h"
#include "ctl_recover.h"

enum { ARGS_MAX = 16 };
enum {
    OPT_BASE64 = 256,
    OPT_TTL,
    OPT_TAGS,
    OPT_DEVICE,
    OPT_CLASS,
    OPT_ALL,
    OPT_IDEMPOTENCY,
    OPT_COLLAPSE,
    OPT_CONFIG,
    OPT_JSON,
    OPT_CHECK
};

struct options {
    const char *center, *key, *dir; // borrowed from argv, the next two, or the environment
    char *dir_center, *dir_key;     // owned: of a trial cluster
    const char *device, *tags, *class_name, *idempotency_key, *collapse_key; // likewise
    long ttl_s;                                                              // -1 = not given
    const char *config;                                                      // likewise; NULL: none
    bool all, base64, as_json, checks;
    const char *args[ARGS_MAX];
    int arg_count;
};

struct command {
    const char *name, *usage;
    int args_min, args_max; // without the name
    int (*run)(struct options *o);
};

static const struct argp_option option_table[] = {
    {"center", 'c', "HOST:PORT", 0, "the center's address (HAWSER_CENTER; 127.0.0.1:7300)", 0},
    {"key", 'k', "KEY", 0, "admin or API key (HAWSER_KEY)", 0},
    {"dir", 'd', "DIR", 0, "a trial cluster's folder: center and key from DIR/cluster.json", 0},
    {"device", OPT_DEVICE, "ID", 0, "token: for this device only", 0},
    {"tags", OPT_TAGS, "A,B", 0, "token: allowed tags", 0},
    {"ttl", OPT_TTL, "SECONDS", 0, "token, push: life time", 0},
    {"class", OPT_CLASS, "CLASS", 0, "push: live, stored or durable", 0},
    {"all", OPT_ALL, NULL, 0, "push: to everyone (PRODUCT PAYLOAD)", 0},
    {"base64", OPT_BASE64, NULL, 0, "push: the payload is base64", 0},
    {"idempotency-key", OPT_IDEMPOTENCY, "KEY", 0, "push: one message however often it is called",
     0},
    {"collapse-key", OPT_COLLAPSE, "KEY", 0,
     "push: take the place of the user's message with this key that no device has handled", 0},
    {"check", OPT_CHECK, NULL, 0, "recover: says what differs, and changes nothing", 0},
    {"config", OPT_CONFIG, "FILE", 0, "recover: the daemons' configuration", 0},
    {"json", OPT_JSON, NULL, 0, "recover: for programs", 0},
    {0},
};

static error_t ctl_parse_option(int key, char *arg, struct argp_state *state) {
    struct options *o = state->input;
    char *end = NULL;
    switch (key) {
    case 'c':
        o->center = arg;
        return 0;
    case 'k':
        o->key = arg;
        return 0;
    case 'd':
        o->dir = arg;
        return 0;
    case OPT_DEVICE:
        o->device = arg;
        return 0;
    case OPT_TAGS:
        o->tags = arg;
        return 0;
    case OPT_CLASS:
        o->class_name = arg;
        return 0;
    case OPT_IDEMPOTENCY:
        o->idempotency_key = arg;
        return 0;
    case OPT_COLLAPSE:
        o->collapse_key = arg;
        return 0;
    case OPT_ALL:
        o->all = true;
        return 0;
    case OPT_BASE64:
        o->base64 = true;
        return 0;
    case OPT_TTL:
        o->ttl_s = strtol(arg, &end, 10);
        if (*arg == '\0' || *end != '\0' || o->ttl_s < 0)
            argp_error(state, "--ttl: '%s' is not a number of seconds", arg);
        return 0;
    case OPT_CONFIG:
        o->config = arg;
        return 0;
    case OPT_JSON:
        o->as_json = true;
        return 0;
    case OPT_CHECK:
        o->checks = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->arg_count == ARGS_MAX)
            argp_error(state, "too many arguments");
        o->args[o->arg_count++] = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static size_t ctl_on_body(char *data, size_t size, size_t count, void *arg) {
    buf_append(arg, data, size * count);
    return size * count;
}

// Takes center and key from the trial cluster's file.
static int options_from_dir(struct options *o) {
    struct buf path = BUF_EMPTY, center = BUF_EMPTY;
    buf_printf(&path, "%s/cluster.json", o->dir);
    json_error_t error;
    json_t *root = json_load_file(buf_cstr(&path), 0, &error);
    if (!root) {
        fprintf(stderr, "hawserctl: %s: %s\n", buf_cstr(&path), error.text);
        buf_free(&path);
        return 1;
    }
    buf_free(&path);
    if (!o->center) {
        buf_printf(&center, "127.0.0.1:%lld",
                   (long long)json_integer_value(json_object_get(root, "center")));
        o->center = o->dir_center = hw_strdup(buf_cstr(&center));
        buf_free(&center);
    }
    const char *key = json_string_value(json_object_get(root, "admin_key"));
    if (!o->key && key)
        o->key = o->dir_key = hw_strdup(key);
    json_decref(root);
    return 0;
}

// A path segment, percent-encoded, with a slash before it. What proxies and libraries take for a
// step up or for nothing would be another call.
static void append_segment(struct buf *url, const char *segment) {
    static const char digits[] = "0123456789ABCDEF";
    if (*segment == '\0' || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0) {
        fprintf(stderr, "hawserctl: '%s' cannot be a name in a path\n", segment);
        exit(2);
    }
    buf_append_str(url, "/");
    for (const char *p = segment; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || *p == '-' || *p == '_' || *p == '.' || *p == '~';
        if (plain)
            buf_append(url, p, 1);
        else
            buf_append(url, (char[]){'%', digits[(uint8_t)*p >> 4], digits[*p & 15]}, 3);
    }
}

// Of an answer with results: the first that fails is the last one.
static bool results_failed(const json_t *answer) {
    const json_t *results = json_object_get(answer, "results");
    size_t count = json_array_size(results);
    const json_t *last = count > 0 ? json_array_get(results, count - 1) : NULL;
    return json_integer_value(json_object_get(last, "status")) >= 300;
}

// True: it did what was asked.
static bool print_answer(const struct buf *answer, long status) {
    json_t *json = json_loadb((const char *)answer->data, answer->len, JSON_DECODE_ANY, NULL);
    bool is_good = status < 300 && !results_failed(json);
    FILE *to = status < 300 ? stdout : stderr;
    if (json) {
        json_dumpf(json, to, JSON_INDENT(2) | JSON_ENCODE_ANY);
        fputc('\n', to);
        json_decref(json);
    } else if (answer->len > 0) {
        for (size_t i = 0; i < answer->len; i++) // it may be a terminal
            fputc(answer->data[i] == '\n' || answer->data[i] >= ' ' ? answer->data[i] : '?', to);
        fputc('\n', to);
    }
    return is_good;
}

// One call; prints the answer. body is consumed, NULL for none. Returns the exit code: 0 for 2xx
// without a result that failed, else 1.
static int ctl_call(struct options *o, const char *method, struct buf *path, json_t *body) {
    struct buf url = BUF_EMPTY, header = BUF_EMPTY, answer = BUF_EMPTY;
    buf_printf(&url, "http://%s%s", o->center, buf_cstr(path));
    buf_printf(&header, "Authorization: Bearer %s", o->key);
    struct curl_slist *headers = curl_slist_append(NULL, buf_cstr(&header));
    if (o->idempotency_key) {
        buf_reset(&header);
        buf_printf(&header, "Idempotency-Key: %s", o->idempotency_key);
        headers = curl_slist_append(headers, buf_cstr(&header));
    }
    if (strcmp(method, "PUT") == 0) // create: never in the place of one that is there
        headers = curl_slist_append(headers, "If-None-Match: *");
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, buf_cstr(&url));
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ctl_on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    if (text)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
    CURLcode result = curl_easy_perform(curl);
    long status = 0;
    bool is_good = false;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK)
        fprintf(stderr, "hawserctl: %s: %s\n", o->center, curl_easy_strerror(result));
    else if (status == 409 && strcmp(method, "PUT") == 0)
        fprintf(stderr,
                "hawserctl: there is a product '%s' already; `hawserctl product show %s` "
                "prints it\n",
                o->args[2], o->args[2]);
    else
        is_good = print_answer(&answer, status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    free(text);
    json_decref(body);
    buf_free(&url);
    buf_free(&header);
    buf_free(&answer);
    buf_free(path);
    return is_good ? 0 : 1;
}

static void product_path(struct buf *path, const char *product) {
    buf_append_str(path, "/v1/products");
    append_segment(path, product);
}

static int run_cluster(struct options *o) {
    struct buf path = BUF_EMPTY;
    buf_append_str(&path, "/v1/cluster");
    return ctl_call(o, "GET", &path, NULL);
}

static int run_product(struct options *o) {
    const char *what = o->args[1];
    struct buf path = BUF_EMPTY;
    if (strcmp(what, "list") == 0 && o->arg_count == 2) {
        buf_append_str(&path, "/v1/products");
        return ctl_call(o, "GET", &path, NULL);
    }
    static const struct {
        const char *word, *method;
    } words[] = {{"create", "PUT"}, {"show", "GET"}, {"delete", "DELETE"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(what, words[i].word) != 0 || o->arg_count != 3)
            continue;
        product_path(&path, o->args[2]);
        return ctl_call(o, words[i].method, &path, i == 0 ? json_object() : NULL);
    }
    fputs("hawserctl: usage: hawserctl product list | create NAME | show NAME | delete NAME\n",
          stderr);
    return 2;
}

static json_t *comma_list(const char *text) {
    json_t *list = json_array();
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, ",");
        json_array_append_new(list, json_stringn(p, len));
        p += len + (p[len] == ',');
    }
    return list;
}

// What is no text is never left out in silence: a token would be for all devices.
static void need_text(const char *what, const char *text) {
    bool control = false;
    if (!text || (utf8_is_valid((const uint8_t *)text, strlen(text), &control) && !control))
        return;
    fprintf(stderr, "hawserctl: %s is not UTF-8 without control characters\n", what);
    exit(2);
}

static int run_token(struct options *o) {
    struct buf path = BUF_EMPTY;
    product_path(&path, o->args[1]);
    buf_append_str(&path, "/tokens");
    need_text("USER", o->args[2]);
    json_t *body = json_pack("{s:s}", "user", o->args[2]);
    if (o->device)
        json_object_set_new(body, "device", json_string(o->device));
    if (o->tags)
        json_object_set_new(body, "tags", comma_list(o->tags));
    if (o->ttl_s >= 0)
        json_object_set_new(body, "ttl_s", json_integer(o->ttl_s));
    return ctl_call(o, "POST", &path, body);
}

static int run_push(struct options *o) {
    if (o->arg_count != (o->all ? 3 : 4)) {
        fputs(
            "hawserctl: usage: hawserctl push PRODUCT USER PAYLOAD | push --all PRODUCT PAYLOAD\n",
            stderr);
        return 2;
    }
    struct buf path = BUF_EMPTY;
    product_path(&path, o->args[1]);
    buf_append_str(&path, "/messages");
    json_t *to = o->all ? json_pack("{s:b}", "all", 1) : json_pack("{s:s}", "user", o->args[2]);
    json_t *body = json_pack("{s:o, s:s}", "to", to, o->base64 ? "payload_base64" : "payload",
                             o->args[o->all ? 2 : 3]);
    if (!body) {
        fputs("hawserctl: USER or PAYLOAD is not UTF-8 (use --base64)\n", stderr);
        buf_free(&path);
        return 2;
    }
    if (o->class_name)
        json_object_set_new(body, "class", json_string(o->class_name));
    if (o->ttl_s >= 0)
        json_object_set_new(body, "ttl_s", json_integer(o->ttl_s));
    if (o->collapse_key)
        json_object_set_new(body, "collapse_key", json_string(o->collapse_key));
    return ctl_call(o, "POST", &path, body);
}

static int user_call(struct options *o, const char *method, const char *behind) {
    struct buf path = BUF_EMPTY;
    product_path(&path, o->args[1]);
    buf_append_str(&path, "/users");
    append_segment(&path, o->args[2]);
    buf_append_str(&path, behind);
    return ctl_call(o, method, &path, NULL);
}

static int run_user(struct options *o) {
    return user_call(o, "GET", "");
}

static int run_parked(struct options *o) {
    return user_call(o, "GET", "/parked?limit=1000");
}

static int run_redeliver(struct options *o) {
    return user_call(o, "POST", "/parked/redeliver");
}

static int run_discard(struct options *o) {
    return user_call(o, "DELETE", "/parked");
}

static int run_why(struct options *o) {
    return user_call(o, "GET", "/messages?limit=1000");
}

static int message_call(struct options *o, const char *method) {
    struct buf path = BUF_EMPTY;
    product_path(&path, o->args[1]);
    buf_append_str(&path, "/messages");
    append_segment(&path, o->args[2]);
    return ctl_call(o, method, &path, NULL);
}

static int run_message(struct options *o) {
    return message_call(o, "GET");
}

static int run_recall(struct options *o) {
    return message_call(o, "DELETE");
}

static int run_job_list(struct options *o) {
    struct buf path = BUF_EMPTY;
    product_path(&path, o->args[1]);
    buf_append_str(&path, "/messages?limit=1000");
    return ctl_call(o, "GET", &path, NULL);
}

// A configuration with fresh secrets, readable by its owner only; an existing file is left alone.
static int run_init(struct options *o) {
    const char *file = o->arg_count > 1 ? o->args[1] : "hawser.yaml";
    if (strcmp(file, "-") == 0) {
        fputs("hawserctl: init writes a file that only you may read, not standard output\n",
              stderr);
        return 2;
    }
    uint8_t random[48];
    char secret[65], admin[33];
    crypto_random(random, sizeof(random));
    hex_encode(random, 32, secret);
    hex_encode(random + 32, 16, admin);
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        fprintf(stderr, "hawserctl: %s: %s\n", file, strerror(errno));
        return 1;
    }
    int written = dprintf(
        fd,
        "# Hawser's configuration: one file for the whole cluster. docs/CONFIG.md has every key.\n"
        "cluster:\n"
        "  secrets: [%s]\n"
        "  admin_keys: [hwa_%s]\n"
        "  registers: [\"127.0.0.1:7400\"]\n"
        "redis:\n"
        "  url: redis://127.0.0.1:6379\n"
        "# Daemons listen at all addresses of their machine, and clients and other daemons are "
        "told 127.0.0.1,\n"
        "# until each machine names its own in the environment of its daemons. With several "
        "machines:\n"
        "#   HAWSER_ROOM__ADVERTISE, HAWSER_DISPATCHER__ADVERTISE       for clients\n"
        "#   HAWSER_ROOM__RPC_ADVERTISE, HAWSER_<ROLE>__ADVERTISE       for the other daemons\n"
        "# and cluster.registers above names the registers' machines.\n",
        secret, admin);
    int failed = written < 0 || close(fd) != 0;
    if (failed)
        fprintf(stderr, "hawserctl: %s: %s\n", file, strerror(errno));
    else
        printf("wrote %s; the admin key is in it: cluster.admin_keys\n", file);
    return failed ? 1 : 0;
}

// Without --check it would have to write: registers and savers do that by themselves.
static int run_recover(struct options *o) {
    if (o->checks)
        return recover_check(o->config, o->as_json);
    fputs("hawserctl: recover: give --check; what differs is put back by registers and savers\n",
          stderr);
    return 2;
}

static const struct command commands[] = {
    {"init", "init [FILE]", 0, 1, run_init},
    {"cluster", "cluster", 0, 0, run_cluster},
    {"product", "product list | create NAME | show NAME | delete NAME", 1, 2, run_product},
    {"token", "token PRODUCT USER [--device ID] [--tags A,B] [--ttl S]", 2, 2, run_token},
    {"push", "push PRODUCT USER PAYLOAD | push --all PRODUCT PAYLOAD", 2, 3, run_push},
    {"message", "message PRODUCT ID", 2, 2, run_message},
    {"recall", "recall PRODUCT ID", 2, 2, run_recall},
    {"jobs", "jobs PRODUCT", 1, 1, run_job_list},
    {"user", "user PRODUCT USER", 2, 2, run_user},
    {"why", "why PRODUCT USER", 2, 2, run_why},
    {"parked", "parked PRODUCT USER", 2, 2, run_parked},
    {"redeliver", "redeliver PRODUCT USER", 2, 2, run_redeliver},
    {"discard", "discard PRODUCT USER", 2, 2, run_discard},
    {"recover", "recover --check [--config FILE] [--json]", 0, 0, run_recover},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct command *command_find(const struct options *o) {
    for (int i = 0; o->arg_count > 0 && i < COMMANDS; i++)
        if (strcmp(commands[i].name, o->args[0]) == 0)
            return &commands[i];
    fputs("hawserctl: a command is missing or unknown; these are there:\n", stderr);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(stderr, "  hawserctl %s\n", commands[i].usage);
    return NULL;
}

// The commands, below the options.
static char *help_filter(int key, const char *text, void *input) {
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)(uintptr_t)text;
    struct buf help = BUF_EMPTY;
    buf_append_str(&help, "Commands:");
    for (int i = 0; i < COMMANDS; i++)
        buf_printf(&help, "\n  %s", commands[i].usage);
    char *result = hw_strdup(buf_cstr(&help)); // freed by argp
    buf_free(&help);
    return result;
}

// What the command line leaves open.
static void take_environment(struct options *o) {
    if (!o->center)
        o->center = getenv("HAWSER_CENTER");
    if (!o->center)
        o->center = "127.0.0.1:7300";
    if (!o->key)
        o->key = getenv("HAWSER_KEY");
}

int main(int argc, char **argv) {
    static const struct argp parser = {.options = option_table,
                                       .parser = ctl_parse_option,
                                       .args_doc = "COMMAND [ARGS]",
                                       .doc = "Administers a Hawser cluster.",
                                       .help_filter = help_filter};
    struct options o = {.ttl_s = -1};
    argp_program_version = "hawserctl " HAWSER_VERSION;
    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    const struct command *command = command_find(&o);
    if (!command)
        return 2;
    if (o.arg_count - 1 < command->args_min || o.arg_count - 1 > command->args_max) {
        fprintf(stderr, "hawserctl: usage: hawserctl %s\n", command->usage);
        return 2;
    }
    if (command->run == run_init || command->run == run_recover) // no center is asked
        return command->run(&o);
    if (o.dir && options_from_dir(&o) != 0)
        return 1;
    take_environment(&o);
    if (!o.key) {
        fputs("hawserctl: no key: give --key, HAWSER_KEY or --dir\n", stderr);
        return 2;
    }
    need_text("--center", o.center);
    need_text("--key", o.key);
    need_text("--device", o.device);
    need_text("--tags", o.tags);
    need_text("--class", o.class_name);
    need_text("--idempotency-key", o.idempotency_key);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int code = command->run(&o);
    curl_global_cleanup();
    free(o.dir_center);
    free(o.dir_key);
    return code;
}
