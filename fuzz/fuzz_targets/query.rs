//! The query language: any text is a query or an error that points into it; what is parsed can be asked.
#![no_main]

use jobvault_index::{Case, Matcher, Maybe, Query};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let args: Vec<String> = text.split('\0').map(str::to_owned).collect();
    for case in [Case::Smart, Case::Ignore, Case::Sensitive] {
        match Query::parse(&args, case) {
            Ok(query) => {
                let _ = query.maybe(|_| Maybe::Maybe, |_| Maybe::No);
                let _ = (query.positive_terms(), query.filters().len(), query.sections().len());
                if let Ok(matcher) = Matcher::new(&query) {
                    (0..query.terms.len()).for_each(|term| drop(matcher.ranges(term, data)));
                }
            }
            Err(error) => assert!(error.pointer().len() < 8 * data.len() + 1000),
        }
    }
});
