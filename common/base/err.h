// Error numbers of Hawser. Functions that can fail return 0 or a negative number: a negated errno
// value, or one of these, which lie beyond every errno. These numbers also travel in RPC replies
// (as the positive value), so numbers never change.
#ifndef HW_ERR_H
#define HW_ERR_H

#define HW_ERRORS(X)                                                                               \
    X(HW_EBUSY, 1001, "a bound on work in flight was reached")                                     \
    X(HW_EDEADLINE, 1002, "no answer within the deadline")                                         \
    X(HW_ELINK, 1003, "the link to the peer went down before the answer")                          \
    X(HW_EUNIMPLEMENTED, 1004, "the peer does not know this method")                               \
    X(HW_EMALFORMED, 1005, "bytes that do not decode")                                             \
    X(HW_ETOOBIG, 1006, "over a size limit")                                                       \
    X(HW_ESTORE, 1007, "the store did not answer or refused")                                      \
    X(HW_EOUTCOME, 1008, "the store may or may not have done it")                                  \
    X(HW_ENOTHERE, 1009, "no such session at this room")                                           \
    X(HW_EUNKNOWN, 1010, "no such product, key or entry")                                          \
    X(HW_ECONFLICT, 1011, "the entry was changed by someone else")                                 \
    X(HW_ESTALE, 1012, "an older generation or incarnation")                                       \
    X(HW_EDRAINING, 1013, "the daemon is draining")                                                \
    X(HW_EAUTH, 1014, "the peer could not prove the cluster secret")                               \
    X(HW_EVERSION, 1015, "the peer speaks another major version")                                  \
    X(HW_ECONFIG, 1016, "the configuration is wrong")                                              \
    X(HW_EFULL, 1017, "a table is full")                                                           \
    X(HW_ECANCELLED, 1018, "given up because its owner is ending")                                 \
    X(HW_EFORBIDDEN, 1019, "not for the caller's role")                                            \
    X(HW_EUNSAFE, 1020, "Redis runs without AOF, or may evict: nothing is accepted")               \
    X(HW_ELOADING, 1021, "the store is loading its data")                                          \
    X(HW_EROLE, 1022, "another kind of daemon answers there")                                      \
    X(HW_ECLASS, 1023, "MariaDB, in which this is committed, is away")                             \
    X(HW_EBACKLOG, 1024, "too much that was stored has yet to land in MariaDB")

enum hw_error {
#define HW_ERROR_ENUM(name, number, text) name = number,
    HW_ERRORS(HW_ERROR_ENUM)
#undef HW_ERROR_ENUM
};

// Text for 0, a negative errno or a negative HW_E number. Static, never NULL.
const char *hw_strerror(int error);

#define HW_MUST_CHECK __attribute__((warn_unused_result))
#define HW_OUT_OF_LINE __attribute__((noinline)) // what is rare, and needs a frame of its own
#define HW_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

#endif
