// The client on a loop that others own: for daemons' tests and the simulation, where many clients
// share one process and one os. hawser_new is this on a loop of its own.
#ifndef HAWSER_CLIENT_SHELL_H
#define HAWSER_CLIENT_SHELL_H

#include "hawser.h"
#include "loop.h"
#include "positions.h"

// loop and store are borrowed and outlive the client; store NULL: as options->positions_path says.
// The loop's owner steps it (hawser_step, hawser_run, hawser_fd and hawser_next_wakeup_ms are not
// for such a client); everything else of hawser.h works, hawser_stop from the loop's thread at
// once. After hawser_free at most one closing stream is left to the loop's current iteration.
struct hawser_client *hawser_client_new_on(struct loop *loop, const struct hawser_options *options,
                                           struct position_store *store, char *error,
                                           size_t error_len);

// Stopped, and its last connection has ended.
bool hawser_client_is_done(const struct hawser_client *client);

#endif
