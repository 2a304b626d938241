//! Checks the files that no row of the catalogue tells of: packs that it does not list, and packs out of their place.

use jiff::Timestamp;

use super::{Damage, Report, words};
use crate::store::packs::{PackError, PackInfo};
use crate::store::unlisted::{Standing, standing};
use crate::store::{Store, StoreError};

/// Names what may hold more than the catalogue tells of. `there` is what was there when the check began.
pub(super) async fn check(
    store: &Store,
    settled_before: Option<Timestamp>,
    there: Result<Vec<PackInfo>, PackError>,
    report: &mut Report,
) -> Result<(), StoreError> {
    let (there, strays) = match there.and_then(|there| Ok((there, store.packs.strays()?))) {
        Ok(found) => found,
        Err(e) => {
            report.damaged.push(Damage { job: None, pack: None, what: words(&e) });
            return Ok(());
        }
    };
    for stray in strays {
        report.damaged.push(Damage::of_stray(&stray));
    }
    for unlisted in standing(store, there).await? {
        let name = unlisted.info.name;
        let what = match unlisted.standing {
            Standing::Unneeded => continue,
            // A pack gets its name when it is whole: no writer leaves one that cannot be read.
            Standing::Unreadable(what) => format!("the catalogue does not list it, and {what}"),
            // A writer gives a pack a number behind those of all that are listed.
            Standing::Unknown(what) => {
                report.in_catalogue = true;
                format!("the catalogue does not list it: {what}")
            }
            Standing::Later(what) => {
                let changed = store.packs.changed_at(name);
                if changed.zip(settled_before).is_some_and(|(at, before)| at < before) {
                    let what = format!("the catalogue is of an earlier time: {what}");
                    report.later.push(Damage { job: None, pack: Some(name), what });
                }
                continue;
            }
        };
        report.damaged.push(Damage { job: None, pack: Some(name), what });
    }
    Ok(())
}
