// Positions in a file.
//
//     hawser-positions 1
//     of <product> <user> <device>          names as hex, so that none can break a line
//     at <inbox epoch> <seq> <news epoch> <seq> <bulk epoch> <seq>
//     ids <id> <id> <id> <id>                oldest first, as many lines as it takes
//     sum <first 32 hex digits of the SHA-256 of all before>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "bytes.h"
#include "position_table.h"

#define FIRST_LINE "hawser-positions 1"

enum { FILE_BYTES_MAX = 64 * 1024 * 1024, IDS_PER_LINE = 4, SUM_DIGITS = 32, FIELDS_MAX = 8 };

static void put_hex(struct buf *b, const char *text) {
    size_t len = strlen(text);
    char *hex = hw_malloc(2 * len + 1);
    hex_encode((const uint8_t *)text, len, hex);
    buf_printf(b, " %s", hex);
    free(hex);
}

static void put_ids(struct buf *b, const struct recent_ids *r) {
    size_t on_line = 0;
    for (size_t i = 0; i < RECENT_IDS; i++) {
        uint64_t id = r->id[(r->next + i) % RECENT_IDS];
        if (id == 0)
            continue;
        buf_append_str(b, on_line == 0 ? "ids" : "");
        buf_printf(b, " %016" PRIx64, id);
        on_line = (on_line + 1) % IDS_PER_LINE;
        if (on_line == 0)
            buf_append_str(b, "\n");
    }
    if (on_line != 0)
        buf_append_str(b, "\n");
}

static void put_sum(const void *data, size_t len, char out[SUM_DIGITS + 1]) {
    uint8_t digest[32];
    crypto_sha256(data, len, digest);
    hex_encode(digest, SUM_DIGITS / 2, out);
}

static void put_file(struct buf *b, const struct position_table *t) {
    buf_append_str(b, FIRST_LINE "\n");
    for (const struct position_entry *e = t->entries; e; e = e->hh.next) {
        buf_append_str(b, "of");
        put_hex(b, e->key.product);
        put_hex(b, e->key.user);
        put_hex(b, e->key.device);
        buf_append_str(b, "\nat");
        for (size_t i = 0; i < POSITION_STREAMS; i++)
            buf_printf(b, " %" PRIu64 " %" PRIu64, e->record.stream[i].epoch,
                       e->record.stream[i].seq);
        buf_append_str(b, "\n");
        put_ids(b, &e->record.recent);
    }
    char sum[SUM_DIGITS + 1];
    put_sum(b->data, b->len, sum);
    buf_printf(b, "sum %s\n", sum);
}

static int write_all(int fd, const struct buf *b) {
    size_t done = 0;
    while (done < b->len) {
        ssize_t wrote = write(fd, b->data + done, b->len - done);
        if (wrote < 0 && errno != EINTR)
            return -errno;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return 0;
}

// A rename is safe only once the folder is written, too.
static int sync_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? hw_strndup(path, (size_t)(slash - path) + 1) : hw_strdup(".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0)
        return -errno;
    int error = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return error;
}

// What lies at the name of the new file is of a crash, or was planted there: it goes, and is never
// written through.
static int replace_file(const struct position_table *t, const struct buf *b) {
    if (unlink(t->temp_path) != 0 && errno != ENOENT)
        return -errno;
    int fd = open(t->temp_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int error = write_all(fd, b);
    if (error == 0 && fsync(fd) != 0)
        error = -errno;
    if (close(fd) != 0 && error == 0)
        error = -errno;
    if (error == 0 && rename(t->temp_path, t->path) != 0)
        error = -errno;
    return error == 0 ? sync_folder(t->path) : error;
}

// The working copy changes even when the write fails: the caller gives the same changes again, and
// what it holds counts, not what is read back.
static int file_save(struct position_store *s, const struct position_change *changes,
                     size_t count) {
    (void)position_table_save(s, changes, count);
    struct buf b = BUF_EMPTY;
    put_file(&b, (struct position_table *)s);
    int error = replace_file((struct position_table *)s, &b);
    buf_free(&b);
    return error;
}

// --- reading it back

struct reader {
    struct position_table *table;
    struct position_entry *entry; // the one that at and ids lines belong to
    bool has_at;
};

// Cuts line at single spaces into fields; 0 when there are too many or an empty one.
static size_t positions_file_split(char *line, char *fields[FIELDS_MAX]) {
    size_t count = 0;
    for (char *at = line; at;) {
        char *space = strchr(at, ' ');
        if (space)
            *space = '\0';
        if (count == FIELDS_MAX || at[0] == '\0')
            return 0;
        fields[count++] = at;
        at = space ? space + 1 : NULL;
    }
    return count;
}

static bool number_read(const char *text, uint64_t *ret_value) {
    if (text[0] < '0' || text[0] > '9')
        return false;
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    *ret_value = value;
    return errno == 0 && *end == '\0';
}

static char *name_read(const char *hex) {
    size_t len = strlen(hex) / 2;
    char *name = hw_calloc(1, len + 1);
    if (hex_decode(hex, strlen(hex), (uint8_t *)name, len) && strlen(name) == len)
        return name;
    free(name);
    return NULL;
}

static bool read_of(struct reader *r, char *fields[FIELDS_MAX], size_t count) {
    if (count != 4 || (r->entry && !r->has_at))
        return false;
    char *product = name_read(fields[1]), *user = name_read(fields[2]);
    char *device = name_read(fields[3]);
    struct position_key key = {product, user, device};
    bool good = product && user && device && !position_table_find(r->table, &key);
    if (good)
        r->entry = position_table_get(r->table, &key);
    r->has_at = false;
    free(product);
    free(user);
    free(device);
    return good;
}

static bool read_at(struct reader *r, char *fields[FIELDS_MAX], size_t count) {
    if (!r->entry || r->has_at || count != 1 + 2 * POSITION_STREAMS)
        return false;
    r->has_at = true;
    for (size_t i = 0; i < POSITION_STREAMS; i++) {
        struct position *p = &r->entry->record.stream[i];
        if (!number_read(fields[1 + 2 * i], &p->epoch) || !number_read(fields[2 + 2 * i], &p->seq))
            return false;
    }
    return true;
}

static bool read_ids(struct reader *r, char *fields[FIELDS_MAX], size_t count) {
    if (!r->entry || !r->has_at || count < 2)
        return false;
    struct recent_ids *ids = &r->entry->record.recent;
    for (size_t i = 1; i < count; i++) {
        uint8_t bytes[8];
        if (!hex_decode(fields[i], strlen(fields[i]), bytes, sizeof(bytes)) ||
            ids->id[ids->next] != 0)
            return false;
        ids->id[ids->next] = be64_get(bytes);
        ids->next = (ids->next + 1) % RECENT_IDS;
    }
    return true;
}

static bool read_line(struct reader *r, char *line) {
    char *fields[FIELDS_MAX];
    size_t count = positions_file_split(line, fields);
    if (count == 0)
        return false;
    if (strcmp(fields[0], "of") == 0)
        return read_of(r, fields, count);
    if (strcmp(fields[0], "at") == 0)
        return read_at(r, fields, count);
    return strcmp(fields[0], "ids") == 0 && read_ids(r, fields, count);
}

// The last line holds the sum of all before it. On success *ret_len is where that line begins.
static bool sum_is_right(const struct buf *b, size_t *ret_len) {
    enum { SUM_LINE = 4 + SUM_DIGITS + 1 };
    if (b->len < SUM_LINE || memchr(b->data, '\0', b->len))
        return false;
    size_t body = b->len - SUM_LINE;
    char sum[SUM_DIGITS + 1];
    put_sum(b->data, body, sum);
    const char *line = (const char *)b->data + body;
    *ret_len = body;
    return memcmp(line, "sum ", 4) == 0 && memcmp(line + 4, sum, SUM_DIGITS) == 0 &&
           line[4 + SUM_DIGITS] == '\n';
}

// 0, or the number of the line that is wrong (the last one for a wrong sum).
static size_t read_lines(struct position_table *t, struct buf *b) {
    size_t number = 1, body = 0;
    for (size_t i = 0; i + 1 < b->len; i++)
        number += b->data[i] == '\n';
    if (!sum_is_right(b, &body))
        return number;
    struct reader r = {.table = t};
    number = 0;
    for (char *line = (char *)b->data, *end = line + body; line < end;) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        number++;
        if (!newline)
            return number;
        *newline = '\0';
        bool good = number == 1 ? strcmp(line, FIRST_LINE) == 0 : read_line(&r, line);
        if (!good)
            return number;
        line = newline + 1;
    }
    return r.entry && !r.has_at ? number : 0;
}

// Opened without waiting, as for a pipe's other end, and only when it is a file. -EINVAL: it is
// not.
static int open_file(const char *path, int flags) {
    int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC, 0600);
    struct stat st;
    if (fd < 0)
        return -errno;
    int error = fstat(fd, &st) != 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

static int positions_file_read_whole(const char *path, struct buf *b) {
    int fd = open_file(path, O_RDONLY), error = 0;
    if (fd < 0)
        return fd;
    for (;;) {
        ssize_t got = read(fd, buf_reserve(b, 64 * 1024), 64 * 1024);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            error = got < 0 ? -errno : 0;
            break;
        }
        b->len += (size_t)got;
        if (b->len > FILE_BYTES_MAX) {
            error = -EFBIG;
            break;
        }
    }
    close(fd);
    return error;
}

static bool file_load(struct position_table *t, char *error, size_t error_len) {
    struct buf b = BUF_EMPTY;
    int failed = positions_file_read_whole(t->path, &b);
    bool good = failed == 0 || failed == -ENOENT;
    if (!good)
        snprintf(error, error_len, "cannot read positions file %s: %s", t->path,
                 failed == -EINVAL ? "it is not a file" : hw_strerror(failed));
    if (failed == 0) {
        size_t line = read_lines(t, &b);
        good = line == 0;
        if (!good)
            snprintf(error, error_len,
                     "positions file %s is spoiled at line %zu; it is left as it is", t->path,
                     line);
    }
    buf_free(&b);
    return good;
}

static bool file_lock(struct position_table *t, char *error, size_t error_len) {
    struct buf lock_path = BUF_EMPTY;
    buf_printf(&lock_path, "%s.lock", t->path);
    t->lock_fd = open_file(buf_cstr(&lock_path), O_RDWR | O_CREAT | O_NOFOLLOW);
    int failed = t->lock_fd < 0 ? t->lock_fd : 0;
    if (failed == 0 && flock(t->lock_fd, LOCK_EX | LOCK_NB) != 0)
        failed = -errno;
    if (failed == -EWOULDBLOCK)
        snprintf(error, error_len, "positions file %s is in use by another client", t->path);
    else if (failed != 0)
        snprintf(error, error_len, "cannot lock %s: %s", buf_cstr(&lock_path), hw_strerror(failed));
    buf_free(&lock_path);
    return failed == 0;
}

struct position_store *positions_file_new(const char *path, char *error, size_t error_len) {
    struct position_store *s = positions_memory_new();
    struct position_table *t = (struct position_table *)s;
    struct buf temp_path = BUF_EMPTY;
    buf_printf(&temp_path, "%s.new", path);
    t->path = hw_strdup(path);
    t->temp_path = hw_strdup(buf_cstr(&temp_path));
    buf_free(&temp_path);
    s->save = file_save;
    if (file_lock(t, error, error_len) && file_load(t, error, error_len))
        return s;
    s->close(s);
    return NULL;
}
