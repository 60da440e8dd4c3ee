// A JSON text made into jansson's values, step by step. jansson itself reads a text in one go: 8
// MiB hold its caller for 150 ms, and one message that is within its limits for 40 ms. Here a step
// does a bounded amount of work, and what it does is counted. The texts that are taken are those
// that jansson takes (duplicate names refused, NUL only in values), within the bounds below.
// Without I/O and clock; numbers and literals, which are short, are read by jansson.
#ifndef HW_JSON_READ_H
#define HW_JSON_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

enum {
    JSON_DEPTH_MAX = 16,          // no call takes anything deeper than 6
    JSON_VALUES_MAX = 128 * 1024, // lists and objects too; the largest batch that is allowed has
                                  // 100,000
    JSON_VALUE_BYTES = 128,       // of memory, about, whatever the value
    JSON_NUMBER_MAX = 256,        // bytes of a number
    JSON_VALUE_WORK = 128,        // a value is as much work as so many bytes
    // What a step may do beyond what it was given: it ends between characters and between values.
    JSON_WORK_OVER = JSON_VALUE_WORK + JSON_NUMBER_MAX,
};

enum json_read { JSON_READ_MORE, JSON_READ_DONE, JSON_READ_BAD };

// What may come next.
enum json_next {
    JSON_NEXT_VALUE,       // a value
    JSON_NEXT_FIRST_VALUE, // a value, or the end of the list
    JSON_NEXT_FIRST_NAME,  // a name, or the end of the object
    JSON_NEXT_NAME,        // a name
    JSON_NEXT_COLON,       // behind a name
    JSON_NEXT_TEXT,        // in a string, a name or a value
    JSON_NEXT_COMMA,       // behind a value
    JSON_NEXT_END,         // behind everything
    JSON_NEXT_COUNT,
};

struct json_reader {
    const char *text; // borrowed
    size_t len, at;
    enum json_next next;
    json_t *root;                 // owned
    json_t *open[JSON_DEPTH_MAX]; // borrowed from root: lists and objects that are not closed yet
    int depth;
    struct buf name, string; // owned: of the member whose value comes; what of a text was read
    bool is_name;            // the text is one
    size_t values, work;     // work: done in all
    const char *fault;       // why the text is refused; NULL = it is not
    bool is_too_long;        // because it holds more values than any call takes
    bool is_of_value;        // because the value that comes next is none, as 1e400 is no number
};

void json_reader_init(struct json_reader *r, const void *text, size_t len);
void json_reader_deinit(struct json_reader *r); // harmless when it was done before
// Works on, at most `work` and JSON_WORK_OVER, in bytes. DONE: root is the value.
enum json_read json_reader_step(struct json_reader *r, size_t work);
// Appends where the value stands that comes next, as a problem's field says it: "to.users[17]";
// nothing when it is the whole text.
void json_reader_path(const struct json_reader *r, struct buf *out);

#endif
