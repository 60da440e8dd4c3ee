#include "saver.h"

int main(int argc, char **argv) {
    return daemon_main(&saver_role, argc, argv);
}
