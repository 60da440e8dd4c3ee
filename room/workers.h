// `hawser-room --workers N`: N rooms, one process each, started and restarted by a parent that does
// nothing else. Each takes the next free port of room.listen's range.
#ifndef HW_WORKERS_H
#define HW_WORKERS_H

// Takes --workers N out of the arguments: N, 0 when it is not there, -1 (with a line on stderr)
// when it is wrong.
int workers_wanted(int *argc, char **argv);
// The parent's life; returns its exit code. argv has no --workers any more.
int workers_run(int count, int argc, char **argv);

#endif
