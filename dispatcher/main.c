#include "dispatcher.h"

int main(int argc, char **argv) {
    return daemon_main(&dispatcher_role, argc, argv);
}
