// The streams of a product, by the numbers that all messages use.
#ifndef HW_STREAMS_H
#define HW_STREAMS_H

enum {
    STREAM_INBOX = 0, // one for each user
    STREAM_NEWS = 1,
    STREAM_BULK = 2,
    STREAMS = 3,
};

#endif
