// The chunks of a body:
//
//   SIZE --";"--> EXTENSION --CR--> SIZE_LF --LF--> DATA --all of it--> DATA_CR --> DATA_LF -->
//   SIZE
//                                       \--LF, size 0--> TRAILER <--LF-- TRAILER_LF <--CR--
//                                       IN_TRAILER
//                                                           \--CR--> END_LF --LF--> over
#include "bytes.h"
#include "http_parse.h"

enum {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,
    IN_TRAILER,
    TRAILER_LF,
    END_LF,
    WASTE_MAX = 16 * 1024, // of framing, and 8 bytes more for each byte of the body
    SIZE_DIGITS_MAX = 15
};

static bool read_size(struct http_chunks *c, uint8_t byte) {
    int digit = hex_digit((char)byte);
    if (digit >= 0 && c->digits < SIZE_DIGITS_MAX) {
        c->digits++;
        c->left = c->left << 4 | (unsigned)digit;
        return true;
    }
    c->state = byte == '\r' ? SIZE_LF : EXTENSION;
    return c->digits > 0 && (byte == '\r' || byte == ';');
}

static bool read_size_lf(struct http_chunks *c, uint8_t byte) {
    c->state = c->left > 0 ? DATA : TRAILER;
    c->digits = 0;
    c->body += c->left;
    return byte == '\n';
}

// Text that is dropped, up to its CR.
static bool http_chunks_drop(struct http_chunks *c, uint8_t byte, int at_cr) {
    if (byte == '\r')
        c->state = at_cr;
    return byte == '\r' || byte == '\t' || (byte >= ' ' && byte != 127);
}

static bool expect(struct http_chunks *c, uint8_t byte, uint8_t wanted, int next) {
    c->state = next;
    return byte == wanted;
}

// One byte of framing; false: it may not stand here.
static bool read_byte(struct http_chunks *c, uint8_t byte) {
    switch (c->state) {
    case SIZE:
        return read_size(c, byte);
    case EXTENSION:
        return http_chunks_drop(c, byte, SIZE_LF);
    case SIZE_LF:
        return read_size_lf(c, byte);
    case DATA_CR:
        return expect(c, byte, '\r', DATA_LF);
    case DATA_LF:
        return expect(c, byte, '\n', SIZE);
    case TRAILER:
        c->state = IN_TRAILER;
        return http_chunks_drop(c, byte, END_LF);
    case IN_TRAILER:
        return http_chunks_drop(c, byte, TRAILER_LF);
    case TRAILER_LF:
        return expect(c, byte, '\n', TRAILER);
    case END_LF:
        c->is_over = true;
        return byte == '\n';
    default:
        return false;
    }
}

static enum http_parsed http_chunks_bad(struct http_chunks *c, enum http_fault fault) {
    c->fault = fault;
    return HTTP_PARSED_BAD;
}

enum http_parsed http_chunks_read(struct http_chunks *c, const uint8_t *data, size_t len,
                                  size_t *ret_used, const uint8_t **ret_piece, size_t *ret_len) {
    size_t at = 0;
    *ret_len = 0;
    while (at < len && c->state != DATA && !c->is_over) {
        if (!read_byte(c, data[at++]))
            return http_chunks_bad(c, HTTP_FAULT_CHUNK);
        if (++c->framing > WASTE_MAX + 8 * c->body)
            return http_chunks_bad(c, HTTP_FAULT_CHUNK_WASTE);
    }
    if (c->state == DATA && at < len) {
        *ret_piece = data + at;
        *ret_len = c->left < len - at ? (size_t)c->left : len - at;
        at += *ret_len;
        c->left -= *ret_len;
        c->state = c->left > 0 ? DATA : DATA_CR;
    }
    *ret_used = at;
    return *ret_len > 0 || c->is_over ? HTTP_PARSED_OK : HTTP_PARSED_MORE;
}
