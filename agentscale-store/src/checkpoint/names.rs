use std::collections::BTreeSet;
use std::sync::Arc;

use agentscale_core::checkpoint::{Field, FieldWrite};

/// More fields than this are not remembered.
const MOST: usize = 64;

/// The names of a state's fields, where they are known. They tell a delta that is a whole state.
#[derive(Clone, Debug)]
pub(crate) struct Names(Option<Arc<BTreeSet<String>>>);

impl Names {
    pub(crate) const UNKNOWN: Self = Self(None);

    /// Of a state without fields.
    pub(crate) fn none() -> Self {
        Self(Some(Arc::default()))
    }

    pub(crate) fn of(fields: &[Field]) -> Self {
        Self(Some(Arc::new(fields.iter().map(|field| field.name.clone()).collect()))).if_few()
    }

    /// Whether these writes make the same state out of nothing as out of the state with these names.
    pub(crate) fn are_all_replaced_by(&self, writes: &[FieldWrite]) -> bool {
        let first_write = |name: &String| writes.iter().find(|write| write.name() == name);
        self.0.as_ref().is_some_and(|names| {
            names.iter().all(|name| {
                first_write(name).is_some_and(|write| !matches!(write, FieldWrite::Append { .. }))
            })
        })
    }

    /// The names after these writes.
    pub(crate) fn after(mut self, writes: &[FieldWrite]) -> Self {
        let Some(names) = &mut self.0 else { return Self::UNKNOWN };
        for write in writes {
            let name = write.name();
            match write {
                FieldWrite::Remove { .. } if names.contains(name) => {
                    Arc::make_mut(names).remove(name);
                }
                FieldWrite::Replace { .. } | FieldWrite::Append { .. } if !names.contains(name) => {
                    Arc::make_mut(names).insert(name.to_owned());
                }
                _ => {}
            }
        }
        self.if_few()
    }

    fn if_few(self) -> Self {
        Self(self.0.filter(|names| names.len() <= MOST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(name: &str) -> FieldWrite {
        FieldWrite::Replace { name: name.into(), value: "1".into() }
    }

    fn append(name: &str) -> FieldWrite {
        FieldWrite::Append { name: name.into(), items: "[1]".into() }
    }

    #[test]
    fn a_delta_is_whole_that_leaves_nothing_of_what_was() {
        let remove = |name: &str| FieldWrite::Remove { name: name.into() };
        let names = Names::none().after(&[replace("a"), append("b")]);
        assert!(names.are_all_replaced_by(&[replace("b"), remove("a"), append("c")]));
        assert!(names.are_all_replaced_by(&[replace("a"), replace("b"), append("b")]));
        assert!(!names.are_all_replaced_by(&[replace("a")]));
        assert!(!names.are_all_replaced_by(&[replace("a"), append("b"), replace("b")]));
        assert!(names.clone().after(&[remove("b")]).are_all_replaced_by(&[replace("a")]));
        assert!(Names::none().are_all_replaced_by(&[append("a")]));
        assert!(!Names::UNKNOWN.after(&[replace("a")]).are_all_replaced_by(&[replace("a")]));
    }

    #[test]
    fn many_names_are_not_remembered() {
        let writes: Vec<FieldWrite> = (0..=MOST).map(|number| replace(&number.to_string())).collect();
        assert!(!Names::none().after(&writes).are_all_replaced_by(&writes));
    }
}
