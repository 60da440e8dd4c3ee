#include "center.h"

int main(int argc, char **argv) {
    return daemon_main(&center_role, argc, argv);
}
