// What a Redis says of itself (the text of INFO), and whether that fits us. Without I/O.
#ifndef HW_REDIS_INFO_H
#define HW_REDIS_INFO_H

#include <stdbool.h>
#include <stddef.h>

enum { RUN_ID_MAX = 40 };

// The value behind `name:`; false when it is missing or does not fit.
bool redis_info_value(const char *info, const char *name, char *out, size_t out_bytes);
bool redis_info_is_primary(const char *info);
bool redis_info_is_loading(const char *info); // it has yet to read its data
// Why this server can't be used now, or NULL. allow_volatile: also one that forgets or evicts.
const char *redis_info_unfit(const char *info, bool allow_volatile);

// Whether the text of an error reply, of a command or from within a script, says that this is the
// wrong server now: a replica, one that loads its data, one that wants another login.
bool redis_error_is_of_server(const char *error);

#endif
