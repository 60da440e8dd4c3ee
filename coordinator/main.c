#include "coordinator.h"

int main(int argc, char **argv) {
    return daemon_main(&coordinator_role, argc, argv);
}
