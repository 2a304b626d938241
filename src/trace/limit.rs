//! The message with which a runner ends a log that grew over its limit.
//!
//! Owns its two wordings and nothing else.

use memchr::memmem;

/// How many bytes from the end the message may begin. It is the last thing a runner sends; the
/// room behind it is for what a server or proxy may append (a guess).
const TAIL_BYTES: usize = 4096;

const BEFORE: &[u8] = b"Job's log exceeded limit of ";
const AFTER: &[u8] = b" bytes.";

/// The second sentence of newer runners, on a line of its own.
const NOTICE: &[u8] = b"\nJob execution will continue but no more output will be collected.";

/// The end of the message in both wordings.
const RESET: &[u8] = b"\x1b[0;m";

/// Returns whether a trace was cut by the runner's output limit; its last 4 KiB suffice.
///
/// The message counts only in the runner's own colours, yellow or red, and at a line's start: a
/// job that prints the words was not cut.
/// Source: `helpers/trace/buffer.go` of GitLab Runner, older and current wording
/// (<https://docs.gitlab.com/runner/configuration/advanced-configuration/>, `output_limit`).
pub fn is_truncated(tail: &[u8]) -> bool {
    let tail = &tail[tail.len().saturating_sub(TAIL_BYTES)..];
    memmem::find_iter(tail, BEFORE).any(|at| is_message(tail, at))
}

fn is_message(tail: &[u8], at: usize) -> bool {
    let before = &tail[..at];
    let coloured = [&b"\x1b[33;1m"[..], b"\x1b[31;1m"]
        .into_iter()
        .find_map(|colour| before.strip_suffix(colour));
    if !coloured.is_some_and(|before| before.is_empty() || before.ends_with(b"\n")) {
        return false;
    }
    let rest = &tail[at + BEFORE.len()..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(rest) = rest[digits..].strip_prefix(AFTER) else {
        return false;
    };
    digits > 0
        && (rest.starts_with(RESET)
            || rest.strip_prefix(NOTICE).is_some_and(|rest| rest.starts_with(RESET)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[u8] = b"text\n\x1b[31;1mJob's log exceeded limit of 4194304 bytes.\x1b[0;m\n";
    const NEW: &[u8] =
        b"te\n\x1b[33;1mJob's log exceeded limit of 4194304 bytes.\nJob execution will \
        continue but no more output will be collected.\x1b[0;m\n";

    #[test]
    fn both_wordings_tell_a_cut_log() {
        for message in [OLD, NEW] {
            assert!(is_truncated(message));
            let long = [&b"line\n".repeat(10_000)[..], message].concat();
            assert!(is_truncated(&long));
            for cut in 0..message.len() - 1 {
                assert!(!is_truncated(&message[..cut]), "{cut}");
            }
        }
    }

    #[test]
    fn a_job_that_prints_the_words_was_not_cut() {
        assert!(!is_truncated(b""));
        assert!(!is_truncated(b"Job's log exceeded limit of 4194304 bytes.\n"));
        assert!(!is_truncated(b"\x1b[31;1mJob's log exceeded limit of many bytes.\x1b[0;m\n"));
        assert!(!is_truncated(b"grep: \x1b[31;1mJob's log exceeded limit of 1 bytes.\x1b[0;m\n"));
        let early = [OLD, &b"line\n".repeat(10_000)].concat();
        assert!(!is_truncated(&early));
    }
}
