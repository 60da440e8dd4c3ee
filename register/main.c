#include "register.h"

int main(int argc, char **argv) {
    return daemon_main(&register_role, argc, argv);
}
