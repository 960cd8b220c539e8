use agentscale_core::Result;
use agentscale_llm::ndjson::LineDecoder;
use agentscale_llm::sse::SseDecoder;

/// Events and lines are the same however the bytes are cut, and hold no more than came.
pub fn sse(data: &[u8]) {
    let parts = super::cut(data);
    let whole = events(&[data]).expect("less than the longest event");
    assert_eq!(whole, events(&parts).expect("less than the longest event"));
    let held: usize = whole.iter().map(|(_, data)| data.len()).sum();
    assert!(held <= data.len());
    let whole = lines(&[data]).expect("less than the longest line");
    assert_eq!(whole, lines(&parts).expect("less than the longest line"));
    assert!(whole.iter().map(Vec::len).sum::<usize>() <= data.len());
}

fn events(parts: &[&[u8]]) -> Result<Vec<(String, Vec<u8>)>> {
    let (mut decoder, mut events) = (SseDecoder::new(), Vec::new());
    for part in parts {
        decoder.push(part, |event| {
            events.push((event.name.to_owned(), event.data.to_vec()));
            Ok(())
        })?;
    }
    decoder.finish(|event| {
        events.push((event.name.to_owned(), event.data.to_vec()));
        Ok(())
    })?;
    Ok(events)
}

fn lines(parts: &[&[u8]]) -> Result<Vec<Vec<u8>>> {
    let (mut decoder, mut lines) = (LineDecoder::new(), Vec::new());
    for part in parts {
        decoder.push(part, |line| {
            lines.push(line.to_vec());
            Ok(())
        })?;
    }
    decoder.finish(|line| {
        lines.push(line.to_vec());
        Ok(())
    })?;
    Ok(lines)
}
