#include "room.h"
#include "workers.h"

int main(int argc, char **argv) {
    int workers = workers_wanted(&argc, argv);
    return workers > 0   ? workers_run(workers, argc, argv)
           : workers < 0 ? 2
                         : daemon_main(&room_role, argc, argv);
}
