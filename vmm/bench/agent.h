/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_AGENT_H
#define VMM_BENCH_AGENT_H

/*
 * The agent is this same program in a place: on the host, in the container, in the guest. It is
 * asked on a stream of lines and answers on another:
 *
 *   asked            answers
 *                    ready
 *   set SETTINGS     set              (load_settings_print)
 *   prepare LOAD     prepared LOAD    its files are there, and on the disk
 *   run LOAD         figure LOAD NUMBER
 *   end, or the end of the stream     and the agent ends
 *
 * or, in place of each: failed LOAD SENTENCE (of `set`: failed set SENTENCE). Each answer is a line
 * of its own with AGENT_MARK before it. On a guest's console other lines may stand between; they
 * mean nothing.
 */
#define AGENT_MARK "skiff-bench: "

enum { AGENT_LINE_MAX = 512 };

/* Serves until the end. Files of loads lie in the current directory. */
void agent_serve(int in, int out);

#endif
