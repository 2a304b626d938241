//! Where only the newest hits are wanted: less is looked up and listed, and nothing is missed.

use super::*;

#[test]
fn long_forms_of_a_word_in_the_newest_documents_are_not_looked_up_where_few_are_read() {
    let folder = tempfile::tempdir().unwrap();
    // Without a digit, so that they are not cut.
    let letters = |n: u64| -> String {
        [n / 676, n / 26 % 26, n % 26].map(|digit| char::from(b'a' + digit as u8)).iter().collect()
    };
    let text = |n: u64| {
        let frequent = match n > 200 {
            true => ["plain", "word", "word", "word"][n as usize % 4],
            false => "older",
        };
        let rare = if n > 150 { "y" } else { "older" };
        format!("{frequent} word{} {rare}{}\n", letters(n), letters(n))
    };
    let texts: Vec<String> = (1..=400).map(text).collect();
    let documents: Vec<Document<'_>> =
        (1..).zip(&texts).map(|(n, text)| document(n, n, 0, text)).collect();
    let index = index(folder.path(), &documents, 400);
    let find = |word, reading| {
        let found = index.find(&query(&[word]), reading).unwrap();
        (found.list.len(), found.terms[0].tokens)
    };
    let (all, tokens) = find("word", Reading::All);
    assert!(all == 400 && tokens > 100, "{all} documents by {tokens} tokens");
    let (newest, tokens) = find("word", Reading::Newest(10));
    assert!(newest == 400 && tokens < 20, "{newest} documents by {tokens} tokens");
    // Of more lines more documents are read.
    assert!(find("word", Reading::Newest(1_000_000)).1 > 100);
    // What the newest do not hold is looked up, and so is what is more than a word.
    assert_eq!(find("older", Reading::Newest(10)).0, 200);
    assert!(find("\" word\"", Reading::Newest(10)).1 > 100);
}

#[test]
fn the_newest_documents_are_listed_first_and_the_older_ones_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    // Jobs in no order, each of two logs in pieces, one of which was added twice.
    let documents = (0..6000).map(|n| {
        let (job, text) = (n / 6 * 7919 % 1000, if n % 5 == 0 { "other\n" } else { "common\n" });
        document(job, 10 + n / 3, (n % 3) as u32, text)
    });
    let mut documents: Vec<Document<'_>> = documents.collect();
    documents.push(documents[1]);
    let index = index(folder.path(), &documents, 2500);
    let query = query(&["common OR other"]);
    let all = index.find(&query, Reading::All).unwrap();
    assert_eq!((all.list.len(), all.more(), all.oldest()), (6000, 0, 0));
    let mut found = index.find(&query, Reading::Newest(50)).unwrap();
    let (newest, oldest) = (found.list.clone(), found.oldest());
    assert!((2000..3000).contains(&newest.len()), "{}", newest.len());
    assert_eq!(newest, all.list[..newest.len()]);
    assert_eq!(found.more() as usize, 6001 - newest.len());
    assert!(newest.iter().all(|c| c.job >= oldest));
    assert!(found.older().unwrap());
    assert_eq!(found.list, all.list[newest.len()..]);
    assert!(found.list.iter().all(|c| c.job < oldest));
    assert_eq!((found.more(), found.oldest(), found.older().unwrap()), (0, 0, false));
}
