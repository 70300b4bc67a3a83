/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of `skiff image pull`, and the signals that end it: the bytes that came are
 * kept, the terminal's line is left clean. Main thread.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader/image/options.h"
#include "loader/image/pull.h"
#include "vmm/log.h"
#include "vmm/signals.h"

static volatile sig_atomic_t stop; /* the signal that came */

static void on_signal(int number)
{
	stop = number;
}

/* Without SA_RESTART: a wait for another pull ends. */
static void catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa = {.sa_handler = on_signal};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!signal_is_ignored(numbers[i]))
			sigaction(numbers[i], &sa, NULL);
}

void pull_help(void)
{
	printf("usage: skiff image pull NAME|URL|./FILE [OPTION]...\n"
	       "\n"
	       "Fetches a published image into the store, from where every machine uses it. A name is\n"
	       "one of `skiff image ls --available`, or of your own in ~/.config/skiff/catalogue.\n"
	       "\n"
	       "  --arch A          amd64 or arm64; by default this host's\n"
	       "  --digest D        sha256:HEX or sha512:HEX that the image must have, in place of\n"
	       "                    the publisher's checksum list\n"
	       "  --format F        qcow2 or raw, of a URL or file whose name does not end in .qcow2\n"
	       "                    or .raw: it is never guessed\n"
	       "  --name NAME       what to keep it as\n"
	       "  --quiet           no progress line, no summary\n"
	       "\n"
	       "What broke off goes on with the next pull of the same image. The image must be as the\n"
	       "publisher's checksum list says; the list's signature is checked where gpgv is\n"
	       "installed and the publisher's keyring is in ~/.config/skiff/keyrings or\n"
	       "/usr/share/keyrings. The last line says what was checked. Images of a URL without\n"
	       "--digest are compared with nothing.\n"
	       "\n"
	       "Try: skiff image pull ubuntu:24.04\n"
	       "     skiff image pull https://example.org/disk.img --format raw --name mine:1\n");
}

int pull_main(int argc, char **argv)
{
	struct pull p = {.stop = &stop};
	const struct option_row rows[] = {
		{"--arch", &p.arch, NULL},     {"--digest", &p.digest, NULL},
		{"--format", &p.format, NULL}, {"--name", &p.name, NULL},
		{"--quiet", NULL, &p.quiet},   {NULL, NULL, NULL},
	};
	char summary[PULL_SUMMARY_MAX];
	struct image_entry entry;
	int r = options_parse("pull", argc, argv, rows, &p.target, 1);

	if (r == 0)
		r = log_fail(-EINVAL, "image pull: which one? `skiff image ls --available` lists "
				      "names; see `skiff image help pull`");
	if (r < 0)
		return options_exit_status(r);
	catch_signals();
	r = pull_run(&p, &entry, summary);
	if (r == -EINTR) {
		log_line(LOG_INFO, "image pull: interrupted: the same command goes on from here");
		return 128 + (stop ? stop : SIGINT);
	}
	if (!r && !p.quiet)
		puts(summary);
	return options_exit_status(r);
}
