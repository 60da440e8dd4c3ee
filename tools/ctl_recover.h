// What Redis and MariaDB have of the catalog, side by side, asked of the two themselves: no daemon
// need run, and none is asked.
#ifndef HW_CTL_RECOVER_H
#define HW_CTL_RECOVER_H

#include <stdbool.h>

// The URLs are those of the configuration and the environment. Prints what differs, as a table or
// as JSON. 0: nothing does; 1: something does; 2: it cannot be told, and stderr says why.
int recover_check(const char *config_path, bool as_json);

#endif
