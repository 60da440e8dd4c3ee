// What the saver's scripts in Redis have in common with the C code that calls them, and no other
// store knows.
#ifndef HW_SAVER_SCRIPT_VALUES_H
#define HW_SAVER_SCRIPT_VALUES_H

enum {
    TIME_FIELD_BYTES = 7,  // of a time in a packed message: until the year 2109
    PURGED_AT_ONCE = 50,   // of what is due in a log, by a step that came for another reason
    ACK_REMOVED_MAX = 200, // entries, by an ack that takes the short way
    APPEND_REFUSED = 100, // what the append script answers beside AppendOutcome: the server is full
    // Flags of an append. A hash comes with an Idempotency-Key, names with a push to some devices.
    APPEND_INBOX = 1,
    APPEND_REJECTS = 2, // what does not fit in the log's limits
    APPEND_KEYS_FULL = 4,
    APPEND_HASHED = 8,
    APPEND_NAMED = 16,
    APPEND_SETTLES = 32,   // an id that is known: nothing is appended
    APPEND_COLLAPSES = 64, // it has a collapse key, which stands in front of the names
    APPEND_INBOX_REJECTS = APPEND_INBOX | APPEND_REJECTS,
    APPEND_INBOX_HASHED = APPEND_INBOX | APPEND_HASHED,
    APPEND_INBOX_HASHED_REJECTS = APPEND_INBOX | APPEND_HASHED | APPEND_REJECTS,
    RESTORED_ASKS = 0, // what the restored script is to do
    RESTORED_BEGINS = 1,
    RESTORED_ENDS = 2,
    RESTORE_THERE = 0, // what the restore script answers of a row
    RESTORE_RESTORED = 1,
    RESTORE_LOST = 2,
    ACK_STALE = 0,   // what the ack script answers
    ACK_UNKNOWN = 1, // a forgotten device attaches again first
    ACK_TAKEN = 2,   // and up to which seq all entries have left, where one has: 0 otherwise
};

#endif
