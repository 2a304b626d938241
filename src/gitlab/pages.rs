//! Lists, page by page.
//!
//! Owns the two ways of paging, by keyset and by number, and how one turns into the other on old
//! servers. Does not know what is listed. A list that does not go on is an error; one that ends
//! without saying so is looked at twice.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use super::call::Call;
use super::headers::{self, Next};
use super::http::{Http, Reply};
use super::wire::{self, Entity, Page};
use super::{Client, Error};

/// Elements asked for at once: the most GitLab gives.
pub(crate) const PER_PAGE: usize = 100;
/// Pages of a list that is fetched whole; a million elements.
const MAX_PAGES: usize = 10_000;
/// Bytes of a stored cursor; GitLab's have about 60.
const MAX_CURSOR_BYTES: usize = 4096;

/// A place in a list: its beginning, or where an earlier page said it goes on.
///
/// Its text form can be kept and read back by a later run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Cursor(Step);

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
enum Step {
    #[default]
    First,
    /// Query parameters of a keyset link.
    Keys(Vec<(String, String)>),
    /// A page number, for servers without keyset.
    Number(u64),
}

/// A text is not that of a [`Cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is no place in a list")]
pub struct InvalidCursor;

impl Cursor {
    /// Returns whether this is the beginning of the list.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.0 == Step::First
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Step::First => f.write_str("first"),
            Step::Number(page) => write!(f, "page={page}"),
            Step::Keys(keys) => {
                let mut text = url::form_urlencoded::Serializer::new(String::new());
                f.write_str(&text.extend_pairs(keys).finish())
            }
        }
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text == "first" {
            return Ok(Self(Step::First));
        }
        if text.len() > MAX_CURSOR_BYTES {
            return Err(InvalidCursor);
        }
        if let Some(page) = text.strip_prefix("page=") {
            return page.parse().map(|page| Self(Step::Number(page))).map_err(|_| InvalidCursor);
        }
        let keys: Vec<_> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        match keys.is_empty() || keys.iter().any(|(key, value)| key.is_empty() || value.is_empty())
        {
            true => Err(InvalidCursor),
            false => Ok(Self(Step::Keys(keys))),
        }
    }
}

/// A list to ask for.
#[derive(Debug, Clone)]
pub(crate) struct Listing<T> {
    path: String,
    query: Vec<(String, String)>,
    keyset: bool,
    kind: PhantomData<fn() -> T>,
}

impl<T: Entity> Listing<T> {
    pub(crate) fn new(path: String, query: Vec<(String, String)>) -> Self {
        Self { path, query, keyset: false, kind: PhantomData }
    }

    /// Asks for paging by keyset, where the server knows it.
    pub(crate) fn by_keyset(self) -> Self {
        Self { keyset: true, ..self }
    }

    fn call(&self, http: &Http, step: &Step, keyset: bool) -> Result<Call, Error> {
        let mut query = self.query.clone();
        let mut add = |key: &str, value: &str| query.push((key.to_owned(), value.to_owned()));
        add("per_page", &PER_PAGE.to_string());
        match step {
            Step::First if keyset => add("pagination", "keyset"),
            Step::First => {}
            Step::Number(page) => add("page", &page.to_string()),
            Step::Keys(keys) => {
                add("pagination", "keyset");
                keys.iter().for_each(|(key, value)| add(key, value));
            }
        }
        Ok(Call::get(http, &self.path)?.query(query))
    }
}

/// A page, and whether its headers said anything about the next one.
struct Looked<T> {
    page: Page<T>,
    silent: bool,
}

impl<T> Looked<T> {
    /// Returns whether a full page says nothing about the next one.
    fn is_doubtful(&self) -> bool {
        self.silent && self.page.items.len() + self.page.bad.len() >= PER_PAGE
    }
}

fn look<T: Entity>(reply: &Reply, step: &Step) -> Result<Looked<T>, String> {
    let mut page = wire::list(&reply.text)?;
    let next = headers::next(&reply.headers);
    let silent = next == Next::Silent;
    page.next = match next {
        Next::End | Next::Silent => None,
        Next::Unreadable => return Err("the link to the next page cannot be read".into()),
        Next::Keys(keys) => Some(Cursor(Step::Keys(keys))),
        Next::Page(number) => Some(Cursor(Step::Number(number))),
    };
    let goes_on = match (&page.next, step) {
        (Some(Cursor(Step::Number(next))), Step::Number(now)) => next > now,
        (Some(Cursor(Step::Number(next))), Step::First) => *next > 1,
        (Some(Cursor(next)), now) => next != now,
        (None, _) => true,
    };
    if !goes_on {
        return Err("the next page is not after this one".into());
    }
    Ok(Looked { page, silent })
}

impl Client {
    /// Fetches one page.
    pub(crate) async fn page<T: Entity>(
        &self,
        listing: &Listing<T>,
        cursor: &Cursor,
    ) -> Result<Page<T>, Error> {
        let step = &cursor.0;
        let mut keyset = listing.keyset;
        loop {
            let call = listing.call(&self.http, step, keyset)?;
            match self.http.json(&call, |reply| look(reply, step)).await {
                Ok(looked) => return self.believe(&call, step, looked).await,
                // Old servers, or those which cannot do it for this list. If it was something
                // else that they refused, they will refuse again.
                Err(Error::Refused { status: 400 | 405, .. }) if keyset && *step == Step::First => {
                    keyset = false;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Looks again at a full page without a word about the next one, which may have been lost.
    ///
    /// If nothing is said again, the next page is asked for by its number, lest a proxy which
    /// drops headers hides the rest of the list. By keyset that cannot be, and it is the end.
    async fn believe<T: Entity>(
        &self,
        call: &Call,
        step: &Step,
        looked: Looked<T>,
    ) -> Result<Page<T>, Error> {
        if !looked.is_doubtful() {
            return Ok(looked.page);
        }
        let again = self.http.json(call, |reply| look(reply, step)).await?;
        let number = match step {
            Step::First => Some(2),
            Step::Number(page) => page.checked_add(1),
            Step::Keys(_) => None,
        };
        let doubtful = again.is_doubtful();
        let mut page = again.page;
        if let (true, Some(number)) = (doubtful, number) {
            page.next = Some(Cursor(Step::Number(number)));
        }
        Ok(page)
    }

    /// Begins to walk a list.
    fn walk<T: Entity>(&self, listing: Listing<T>) -> Pages<T> {
        Pages { client: self.clone(), listing, next: Some(Cursor::default()), seen: HashSet::new() }
    }

    /// Fetches a whole list, in one page without a next.
    pub(crate) async fn whole<T: Entity>(&self, listing: Listing<T>) -> Result<Page<T>, Error> {
        let mut pages = self.walk(listing);
        let mut whole = Page::default();
        while let Some(page) = pages.next().await? {
            whole.items.extend(page.items);
            whole.bad.extend(page.bad);
        }
        Ok(whole)
    }
}

/// A walk over the pages of a list.
pub(crate) struct Pages<T> {
    client: Client,
    listing: Listing<T>,
    next: Option<Cursor>,
    seen: HashSet<Cursor>,
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<T: Entity> Pages<T> {
    /// Fetches the next page, or returns `None` after the last.
    ///
    /// # Errors
    ///
    /// As the list's own; the same page is asked for again by the next call.
    /// [`Error::Malformed`] if the list leads in a circle.
    pub(crate) async fn next(&mut self) -> Result<Option<Page<T>>, Error> {
        let Some(cursor) = self.next.clone() else {
            return Ok(None);
        };
        let page = self.client.page(&self.listing, &cursor).await?;
        self.seen.insert(cursor);
        let circle = page.next.as_ref().is_some_and(|next| self.seen.contains(next));
        if circle || self.seen.len() >= MAX_PAGES {
            return Err(Error::malformed(&self.listing.path, "the list does not end"));
        }
        self.next.clone_from(&page.next);
        Ok(Some(page))
    }
}
