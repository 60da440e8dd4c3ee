// One function for each thing that may come next; each takes a token, or some bytes of
// a string, says what may come next, and counts its work.
//
//   VALUE --scalar--> COMMA --","--> VALUE, NAME
//     |                 \---"]", "}"--> COMMA of what is around it; END
//     +--"["--> FIRST_VALUE (as VALUE, or "]")
//     +--"{"--> FIRST_NAME (as NAME, or "}");  NAME --> IN_TEXT --> COLON --> VALUE
#include "json_read.h"

#include <string.h>

#include "bytes.h"

enum { PLAIN_MIN = 8 }; // bytes of a string at least: more than a character has

void json_reader_init(struct json_reader *r, const void *text, size_t len) {
    *r = (struct json_reader){.text = text, .len = len, .next = JSON_NEXT_VALUE};
}

void json_reader_deinit(struct json_reader *r) {
    json_decref(r->root);
    buf_free(&r->name);
    buf_free(&r->string);
    *r = (struct json_reader){0};
}

static void json_read_refuse(struct json_reader *r, const char *why) {
    if (!r->fault)
        r->fault = why;
}

static bool takes(struct json_reader *r, char c) {
    bool is_next = r->text[r->at] == c;
    r->at += is_next;
    r->work += is_next;
    return is_next;
}

// --- values

// Puts it where it belongs; the reader has no reference of its own.
static void json_read_put(struct json_reader *r, json_t *value /* taken */) {
    json_t *in = r->depth > 0 ? r->open[r->depth - 1] : NULL;
    int rc = !in ? 0
             : json_is_array(in)
                 ? json_array_append_new(in, value)
                 : json_object_setn_new_nocheck(in, (const char *)r->name.data, r->name.len, value);
    r->work += JSON_VALUE_WORK;
    if (++r->values > JSON_VALUES_MAX) {
        r->is_too_long = true;
        json_read_refuse(r, "more values than any call takes");
    }
    if (!in)
        r->root = value;
    else if (rc != 0)
        json_read_refuse(r, "no memory");
    r->next = r->depth > 0 ? JSON_NEXT_COMMA : JSON_NEXT_END;
}

static void open_container(struct json_reader *r, json_t *value, enum json_next next) {
    json_read_put(r, value);
    if (r->depth == JSON_DEPTH_MAX) {
        json_read_refuse(r, "deeper than any call takes");
        return;
    }
    r->open[r->depth++] = value;
    r->next = next;
}

static void close_container(struct json_reader *r) {
    r->depth--;
    r->next = r->depth > 0 ? JSON_NEXT_COMMA : JSON_NEXT_END;
}

static bool is_of_scalar(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '+' || c == '.';
}

static void read_scalar(struct json_reader *r) {
    size_t len = 0;
    while (r->at + len < r->len && len <= JSON_NUMBER_MAX && is_of_scalar(r->text[r->at + len]))
        len++;
    json_t *value = len > 0 && len <= JSON_NUMBER_MAX
                        ? json_loadb(r->text + r->at, len, JSON_DECODE_ANY, NULL)
                        : NULL;
    if (!value) {
        r->is_of_value = true;
        json_read_refuse(r, "no value, or a number out of range");
        return;
    }
    r->at += len;
    r->work += len;
    json_read_put(r, value);
}

static void begin_text(struct json_reader *r, bool is_name) {
    r->is_name = is_name;
    r->next = JSON_NEXT_TEXT;
    buf_reset(&r->string);
}

static void at_value(struct json_reader *r) {
    if (takes(r, '"'))
        begin_text(r, false);
    else if (takes(r, '{'))
        open_container(r, json_object(), JSON_NEXT_FIRST_NAME);
    else if (takes(r, '['))
        open_container(r, json_array(), JSON_NEXT_FIRST_VALUE);
    else
        read_scalar(r);
}

static void at_first_value(struct json_reader *r) {
    if (takes(r, ']'))
        close_container(r);
    else
        at_value(r);
}

static void at_name(struct json_reader *r) {
    if (takes(r, '"'))
        begin_text(r, true);
    else
        json_read_refuse(r, "a name is expected");
}

static void at_first_name(struct json_reader *r) {
    if (takes(r, '}'))
        close_container(r);
    else
        at_name(r);
}

static void at_colon(struct json_reader *r) {
    if (takes(r, ':')) {
        r->next = JSON_NEXT_VALUE;
    } else {
        json_read_refuse(r, "':' is expected");
    }
}

static void at_comma(struct json_reader *r) {
    bool is_list = json_is_array(r->open[r->depth - 1]);
    if (takes(r, ',')) {
        r->next = is_list ? JSON_NEXT_VALUE : JSON_NEXT_NAME;
    } else if (takes(r, is_list ? ']' : '}')) {
        close_container(r);
    } else {
        json_read_refuse(r, is_list ? "',' or ']' is expected" : "',' or '}' is expected");
    }
}

static void at_end(struct json_reader *r) {
    json_read_refuse(r, "something behind the end");
}

// --- strings

static void name_is_read(struct json_reader *r) {
    const struct buf *s = &r->string;
    const json_t *in = r->open[r->depth - 1];
    const char *name = s->len > 0 ? (const char *)s->data : "";
    if (memchr(name, '\0', s->len))
        json_read_refuse(r, "a NUL in a name");
    else if (json_object_getn(in, name, s->len))
        json_read_refuse(r, "a name is there twice");
    buf_reset(&r->name);
    buf_append(&r->name, name, s->len);
    buf_cstr(&r->name); // an empty one is no NULL
    r->next = JSON_NEXT_COLON;
}

static void text_is_read(struct json_reader *r) {
    const struct buf *s = &r->string;
    if (r->is_name)
        name_is_read(r);
    else
        json_read_put(r, json_stringn_nocheck(s->len > 0 ? (const char *)s->data : "", s->len));
}

static void append_point(struct buf *to, uint32_t point) {
    uint8_t bytes[4];
    size_t len = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = len; i-- > 1; point >>= 6)
        bytes[i] = (uint8_t)(0x80 | (point & 0x3F));
    static const uint8_t leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    bytes[0] = (uint8_t)(leads[len] | point);
    buf_append(to, bytes, len);
}

// The number of "\uXXXX" at `at`; -1: there is none.
static int32_t read_unit(const struct json_reader *r, size_t at) {
    uint8_t bytes[2];
    if (r->len - at < 6 || r->text[at] != '\\' || r->text[at + 1] != 'u' ||
        !hex_decode(r->text + at + 2, 4, bytes, 2))
        return -1;
    return be16_get(bytes);
}

static void read_unicode(struct json_reader *r) {
    int32_t point = read_unit(r, r->at), low = -1;
    size_t used = 6;
    if (point >= 0xD800 && point <= 0xDBFF && (low = read_unit(r, r->at + 6)) >= 0xDC00 &&
        low <= 0xDFFF) {
        point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
        used = 12;
    }
    if (point < 0 || (point >= 0xD800 && point <= 0xDFFF)) {
        json_read_refuse(r, "an escape that names no character");
        return;
    }
    append_point(&r->string, (uint32_t)point);
    r->at += used;
    r->work += used;
}

static void read_escape(struct json_reader *r) {
    static const char named[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char c = r->len - r->at > 1 ? r->text[r->at + 1] : '\0';
    const char *found = c ? strchr(named, c) : NULL;
    if (!found) {
        read_unicode(r);
        return;
    }
    buf_append(&r->string, &meant[found - named], 1);
    r->at += 2;
    r->work += 2;
}

static bool is_plain(char c) {
    return c != '"' && c != '\\' && (unsigned char)c >= 0x20;
}

// Plain bytes up to the end of the step, but whole characters: what is checked here is not looked
// at again when the string, however long, is there.
static void json_read_read_plain(struct json_reader *r, size_t most) {
    const char *plain = r->text + r->at;
    size_t left = r->len - r->at, len = 0;
    most = most < PLAIN_MIN ? PLAIN_MIN : most;
    while (len < left && len < most && is_plain(plain[len]))
        len++;
    for (int i = 0; i < 3 && len == most && len < left && (plain[len] & 0xC0) == 0x80; i++)
        len = most -= 1;
    if (!utf8_is_valid((const uint8_t *)plain, len, NULL)) {
        json_read_refuse(r, "a string that is not UTF-8");
        return;
    }
    buf_append(&r->string, plain, len);
    r->at += len;
    r->work += len;
}

static void in_text(struct json_reader *r, size_t most) {
    if (is_plain(r->text[r->at]))
        json_read_read_plain(r, most);
    else if (takes(r, '"'))
        text_is_read(r);
    else if (r->text[r->at] == '\\')
        read_escape(r);
    else
        json_read_refuse(r, "a control character in a string");
}

// --- steps

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Some editors put one in front, and show nothing of it.
static bool has_byte_order_mark(const struct json_reader *r) {
    return r->at == 0 && r->len >= 3 && memcmp(r->text, "\xEF\xBB\xBF", 3) == 0;
}

static void read_token(struct json_reader *r) {
    static void (*const readers[JSON_NEXT_COUNT])(struct json_reader *
                                                  r) = {[JSON_NEXT_VALUE] = at_value,
                                                        [JSON_NEXT_FIRST_VALUE] = at_first_value,
                                                        [JSON_NEXT_FIRST_NAME] = at_first_name,
                                                        [JSON_NEXT_NAME] = at_name,
                                                        [JSON_NEXT_COLON] = at_colon,
                                                        [JSON_NEXT_COMMA] = at_comma,
                                                        [JSON_NEXT_END] = at_end};
    if (has_byte_order_mark(r)) {
        json_read_refuse(r, "a byte order mark in front (EF BB BF)");
    } else if (is_space(r->text[r->at])) {
        r->at++;
        r->work++;
    } else {
        readers[r->next](r);
    }
}

enum json_read json_reader_step(struct json_reader *r, size_t work) {
    size_t until = r->work + work;
    while (r->at < r->len && r->work < until && !r->fault) {
        if (r->next == JSON_NEXT_TEXT)
            in_text(r, until - r->work);
        else
            read_token(r);
    }
    if (r->at == r->len && r->next != JSON_NEXT_END)
        json_read_refuse(r, "it ends early");
    if (r->fault)
        return JSON_READ_BAD;
    return r->at == r->len ? JSON_READ_DONE : JSON_READ_MORE;
}

// --- where

static void put_name_of(const json_t *in, const json_t *value, struct buf *out) {
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)in, name, member) {
        if (member == value)
            buf_append_str(out, name);
    }
}

void json_reader_path(const struct json_reader *r, struct buf *out) {
    for (int i = 0; i < r->depth; i++) {
        const json_t *in = r->open[i], *next = i + 1 < r->depth ? r->open[i + 1] : NULL;
        if (json_is_array(in)) {
            buf_printf(out, "[%zu]", json_array_size(in) - (next != NULL));
            continue;
        }
        buf_append_str(out, i > 0 ? "." : "");
        if (next)
            put_name_of(in, next, out);
        else
            buf_append_str(out, (const char *)r->name.data);
    }
}
