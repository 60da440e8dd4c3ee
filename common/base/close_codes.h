// Why a client's connection or one of its bindings ends: the codes of Close, Bound and Welcome in
// client.proto. An application sees them by the same names (HAWSER_... in hawser.h).
#ifndef HW_BASE_CLOSE_CODES_H
#define HW_BASE_CLOSE_CODES_H

enum close_code {
    // The client stops and tells its application.
    CLOSE_REPLACED = 4001,       // a newer login of the same user and device
    CLOSE_TOKEN_REFUSED = 4002,  //
    CLOSE_KICKED = 4003,         // by an administrator, or banned
    CLOSE_PRODUCT_CLOSED = 4004, // unknown or deleted
    CLOSE_TOKEN_EXPIRED = 4005,  // it gets a new one and comes again at once
    // It backs off and honours retry_after_ms.
    CLOSE_BUSY = 4101,
    CLOSE_TRY_ANOTHER = 4102,
    CLOSE_RATE_LIMITED = 4103,
    // It connects again and honours retry_after_ms.
    CLOSE_DRAINING = 4200,
    CLOSE_NO_ANSWER = 4201,
    // This version does not send it: a connection to a client that leaves too much unread just ends
    // (room/sending.c).
    CLOSE_TOO_SLOW = 4202,
    // It broke the protocol.
    CLOSE_MALFORMED = 4300,
    CLOSE_TOO_LARGE = 4301,
    CLOSE_UNEXPECTED = 4302,
};

#endif
