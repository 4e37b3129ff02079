// app/main.c
// SPDX-License-Identifier: MIT
//
// The program. It is started in one of three roles: by a person as "oriel COMMAND", or by
// itself as "oriel engine" (engine_process.c) or "oriel decode" (pictures/picture.c).
#include "config.h"

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/engine_process.h"
#include "app/engine_role.h"
#include "app/output.h"
#include "app/pictures/answer.h"
#include "app/pictures/decode_role.h"
#include "base/log.h"

// So that no file we open becomes standard input, output or error.
static bool have_standard_descriptors(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd)
            return false;
    return true;
}

// The memory of each process holds the conversation: nobody gets to see it but who asks
// for that. A handler that cores are piped to heeds only the second of the two.
static void keep_memory_private(void)
{
    static const struct rlimit none = { 0, 0 };

    if (getenv("ORIEL_ALLOW_CORE") != NULL)
        return;
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int no_such_command(const char *name)
{
    const struct command *nearest = command_nearest(name);

    if (nearest != NULL)
        remark(NULL, "there is no command \"%s\"; did you mean \"%s\"?", name,
               nearest->name);
    else
        remark(NULL, "there is no command \"%s\"; oriel --help lists them", name);
    return EXIT_USAGE;
}

static int help(const char *name)
{
    const struct command *command;

    if (name == NULL) {
        commands_help(stdout);
        return EXIT_OK;
    }
    command = command_find(name);
    if (command == NULL)
        return no_such_command(name);
    command_help(command, stdout);
    return EXIT_OK;
}

static int run(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    const struct command *command;

    if (word == NULL && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        return command_chat.run(argc, argv);
    if (word == NULL) {
        commands_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(word, "--version") == 0) {
        puts(PACKAGE_STRING);
        return EXIT_OK;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
        strcmp(word, "help") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (word[0] == '-') // oriel OPTION... is oriel chat OPTION...
        return command_chat.run(argc, argv);
    command = command_find(word);
    if (command == NULL)
        return no_such_command(word);
    return command->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    struct err err = { 0 };
    int code;

    keep_memory_private();
    if (argc == 1 && strcmp(argv[0], ENGINE_ROLE_NAME) == 0)
        return engine_role_run(ENGINE_ROLE_FD);
    if (argc == 1 && strcmp(argv[0], DECODE_ROLE_NAME) == 0)
        _exit(decode_role_run());
    if (!have_standard_descriptors())
        return EXIT_FAILED;
    setlocale(LC_CTYPE, "C.UTF-8"); // how wide characters are; all that we print is UTF-8
    log_open("front");
    code = run(argc, argv);
    if (!finish_output(&err) && code == EXIT_OK)
        code = complain(NULL, &err);
    return code;
}
