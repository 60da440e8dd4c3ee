// A private mariadbd of a test, on a UNIX socket in a folder of its own. Its data is a copy of a
// template, which the program makes once (RUN_TESTS_ON_MARIADB). So are its temporary tables in a
// folder of its own: a server that starts clears away those that it finds, also those of a
// neighbour that runs.
#ifndef HW_MARIADB_SERVER_H
#define HW_MARIADB_SERVER_H

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

static char maria_template[] = "/tmp/hawser-test-mariadb.XXXXXX";
static char maria_dir[64], maria_url[160];
static pid_t maria_pid;

static inline void maria_shell(const char *line) {
    ck_assert_msg(system(line) == 0, "%s", line);
}

// Small files: what they would hold is never written here.
#define MARIADB_SIZES "--innodb-log-file-size=4M", "--innodb-buffer-pool-size=8M"

static inline void maria_template_make(void) {
    char line[600];
    if (!mkdtemp(maria_template))
        abort();
    snprintf(line, sizeof(line),
             "mariadb-install-db --no-defaults --datadir=%s/data --tmpdir=%s --skip-test-db "
             "--auth-root-authentication-method=normal --innodb-log-file-size=4M "
             "--innodb-buffer-pool-size=8M >%s/log 2>&1 && cat >%s/init.sql <<'END'\n"
             "CREATE DATABASE IF NOT EXISTS hawser;\n"
             "CREATE USER IF NOT EXISTS hawser@localhost IDENTIFIED BY 'se@cret';\n"
             "GRANT ALL ON hawser.* TO hawser@localhost;\n"
             "END",
             maria_template, maria_template, maria_template, maria_template);
    if (system(line) != 0)
        abort();
}

static inline void maria_template_free(void) {
    char line[160];
    snprintf(line, sizeof(line), "rm -rf '%s'", maria_template);
    if (system(line) != 0)
        abort();
}

// option: one more of the server, or NULL. Whoever connects waits until it answers.
static inline void maria_run(const char *option) {
    char data[100], socket_path[100], init[100], pid[100], temporary[100];
    snprintf(data, sizeof(data), "--datadir=%s/data", maria_dir);
    snprintf(socket_path, sizeof(socket_path), "--socket=%s/s", maria_dir);
    snprintf(pid, sizeof(pid), "--pid-file=%s/pid", maria_dir);
    snprintf(init, sizeof(init), "--init-file=%s/init.sql", maria_template);
    snprintf(temporary, sizeof(temporary), "--tmpdir=%s", maria_dir);
    maria_pid = fork();
    if (maria_pid != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
        _exit(1);
    execlp("mariadbd", "mariadbd", "--no-defaults", data, socket_path, pid, init, temporary,
           "--skip-networking", "--performance-schema=off", MARIADB_SIZES,
           geteuid() == 0 ? "--user=root" : "--skip-log-bin", option, (char *)NULL);
    _exit(1);
}

static inline void maria_start(const char *option) {
    char line[300];
    snprintf(maria_dir, sizeof(maria_dir), "%s/%d", maria_template, (int)getpid());
    snprintf(maria_url, sizeof(maria_url), "unix://hawser:se%%40cret@%s/s?db=hawser", maria_dir);
    snprintf(line, sizeof(line), "mkdir '%s' && cp -r '%s/data' '%s/data'", maria_dir,
             maria_template, maria_dir);
    maria_shell(line);
    maria_run(option);
}

static inline void maria_kill(void) {
    kill(maria_pid, SIGKILL);
    waitpid(maria_pid, NULL, 0);
}

// Each of its threads stands still when it returns; SIGCONT thaws it.
static inline void maria_freeze(void) {
    kill(maria_pid, SIGSTOP);
    ck_assert_int_eq(waitpid(maria_pid, NULL, WUNTRACED), maria_pid);
}

static inline void maria_stop(void) {
    char line[160];
    maria_kill();
    snprintf(line, sizeof(line), "rm -rf '%s'", maria_dir);
    maria_shell(line);
}

// As root, in the tests' database; waits until the server answers.
static inline void maria_sql(const char *statements) {
    char line[2000];
    snprintf(line, sizeof(line),
             "i=0; until mariadb --no-defaults -S %s/s -u root hawser -e 'SELECT 1' >/dev/null "
             "2>&1 || [ $((i += 1)) -gt 3000 ]; do read -rt 0.01 <> <(:) || :; done; "
             "mariadb --no-defaults -S %s/s -u root hawser <<'END'\n%s\nEND",
             maria_dir, maria_dir, statements);
    pid_t shell = fork();
    if (shell == 0) {
        execlp("bash", "bash", "-c", line, (char *)NULL);
        _exit(1);
    }
    int status = 1;
    waitpid(shell, &status, 0);
    ck_assert_msg(status == 0, "%s", statements);
}

// What a row of the query says; the tests' own look at the tables.
static inline const char *maria_table(const char *query) {
    static char text[400];
    char line[600];
    snprintf(line, sizeof(line), "mariadb --no-defaults -S %s/s -u root hawser -BNe \"%s\"",
             maria_dir, query);
    FILE *f = popen(line, "r");
    size_t len = fread(text, 1, sizeof(text) - 1, f);
    ck_assert_int_eq(pclose(f), 0);
    while (len > 0 && text[len - 1] == '\n')
        len--;
    text[len] = '\0';
    for (char *at = text; *at; at++)
        if (*at == '\n' || *at == '\t')
            *at = ' ';
    return text;
}

#define RUN_TESTS_ON_MARIADB(name, ...)                                                            \
    int main(void) {                                                                               \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        maria_template_make();                                                                     \
        int code = run_tests(name, tests, sizeof(tests) / sizeof(tests[0]));                       \
        maria_template_free();                                                                     \
        return code;                                                                               \
    }

#endif
