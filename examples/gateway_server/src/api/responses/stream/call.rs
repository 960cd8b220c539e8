//! The events of a call.

use super::{OfItem, OutputItem, Within, event};
use crate::api::sse::EventText;

pub(super) fn begin(sequence: &mut u64, output_index: usize, item: &OutputItem, out: &mut EventText) {
    event(sequence, "response.output_item.added", OfItem { output_index, item }, out);
}

/// More of its arguments.
pub(super) fn grow(sequence: &mut u64, place: usize, item: &OutputItem, more: &str, out: &mut EventText) {
    let fields = Within { delta: Some(more), ..at(item, place) };
    event(sequence, "response.function_call_arguments.delta", fields, out);
}

/// Its arguments are whole; where none came they are an empty object. The item is done after that.
pub(super) fn end(
    sequence: &mut u64,
    place: usize,
    item: OutputItem,
    mut arguments: String,
    out: &mut EventText,
) -> OutputItem {
    if arguments.is_empty() {
        arguments.push_str("{}");
        grow(sequence, place, &item, &arguments, out);
    }
    let done = Within { name: item.name(), arguments: Some(&arguments), ..at(&item, place) };
    event(sequence, "response.function_call_arguments.done", done, out);
    item.with_arguments(arguments)
}

/// All of a call at once.
pub(super) fn whole(
    sequence: &mut u64,
    place: usize,
    item: &OutputItem,
    arguments: &str,
    out: &mut EventText,
) {
    begin(sequence, place, &item.begun(), out);
    grow(sequence, place, item, arguments, out);
    end(sequence, place, item.clone(), arguments.to_owned(), out);
    event(sequence, "response.output_item.done", OfItem { output_index: place, item }, out);
}

fn at(item: &OutputItem, output_index: usize) -> Within<'_> {
    Within { item_id: item.id(), output_index, ..Within::default() }
}
