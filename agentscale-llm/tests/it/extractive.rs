use agentscale_core::llm::{
    CompletionEvent, CompletionRequest, FinishReason, LlmProvider, Message, ToolChoice,
};
use agentscale_core::{ErrorKind, Json};
use agentscale_llm::{ExtractiveProvider, NOTHING_FOUND, estimate_tokens};

const LEASES: &str = "# Leases\n\nA lease names an owner. It lasts ten seconds,\nand the owner renews it \
                      every three.\n\n## Fencing\n\nAn epoch grows with every claim; a write under an older\nepoch \
                      is refused as fenced.\n\n| store | default |\n|---|---|\n| checkpoints | SQLite in one folder |\n";

fn ask(question: &str) -> CompletionRequest {
    CompletionRequest::new(vec![
        Message::system("Answer from the documents."),
        Message::user(question).with_document("docs/leases.md:10-24", LEASES),
    ])
}

async fn answer(question: &str) -> String {
    ExtractiveProvider::new().complete(ask(question)).await.unwrap().text()
}

#[tokio::test]
async fn the_best_sentence_is_quoted_with_its_own_line() {
    let first = |answer: String| answer.lines().next().unwrap().to_owned();
    let fenced = first(answer("When is a write with an old epoch refused?").await);
    assert_eq!(
        fenced,
        "An epoch grows with every claim; a write under an older epoch is refused as fenced. [docs/leases.md:17]"
    );
    let store = first(answer("Which store keeps the checkpoints?").await);
    assert_eq!(store, "checkpoints | SQLite in one folder [docs/leases.md:22]");
}

#[tokio::test]
async fn a_heading_helps_to_find_what_stands_below_it() {
    let text = "## Durability\n\nThe default is process.\n\n## Colours\n\nThe default is blue.\n";
    let request = CompletionRequest::new(vec![
        Message::user("What is the default durability?").with_document("a:1", text),
    ]);
    let answer = ExtractiveProvider::new().complete(request).await.unwrap();
    assert_eq!(answer.text(), "The default is process. [a:3]");
}

#[tokio::test]
async fn nothing_that_fits_is_said_to_be_nothing() {
    for question in ["What is the capital of France?", "Who owns the bakery in Lyon?", "What is it?"] {
        assert_eq!(answer(question).await, NOTHING_FOUND, "{question}");
    }
    let without = CompletionRequest::new(vec![Message::user("How long does a lease last?")]);
    assert_eq!(ExtractiveProvider::new().complete(without).await.unwrap().text(), NOTHING_FOUND);
}

#[tokio::test]
async fn a_citation_without_lines_or_with_too_few_is_kept() {
    for (citation, cited) in
        [("notes", "notes"), ("a.md:7-8", "a.md:7"), ("a.md:7-9", "a.md:9"), ("C:\\a.md:7", "C:\\a.md:9")]
    {
        let text = "One.\nTwo.\nThe lease lasts ten seconds.";
        let request =
            CompletionRequest::new(vec![Message::user("lease seconds").with_document(citation, text)]);
        let answer = ExtractiveProvider::new().complete(request).await.unwrap();
        assert_eq!(answer.text(), format!("The lease lasts ten seconds. [{cited}]"));
    }
}

#[tokio::test]
async fn the_last_question_is_answered() {
    let messages = vec![
        Message::user("When is an epoch fenced?").with_document("a:1", LEASES),
        Message::assistant("Soon."),
        Message::user("How does the owner renew?"),
    ];
    let answer = ExtractiveProvider::new().complete(CompletionRequest::new(messages)).await.unwrap();
    assert!(answer.text().starts_with("It lasts ten seconds, and the owner renews it"), "{}", answer.text());
}

#[tokio::test]
async fn the_streams_parts_are_the_whole_answer() {
    let provider = ExtractiveProvider::new();
    let whole = provider.complete(ask("How long does a lease last?")).await.unwrap();
    let mut stream = provider.stream(ask("How long does a lease last?")).await.unwrap();
    let (mut text, mut parts) = (String::new(), 0);
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            CompletionEvent::Text(part) => {
                text.push_str(&part);
                parts += 1;
            }
            CompletionEvent::Finished(completion) => assert_eq!(completion, whole),
            other => panic!("{other:?}"),
        }
    }
    assert!(parts > 3);
    assert_eq!(text, whole.text());
}

#[tokio::test]
async fn a_longest_length_cuts_and_says_so() {
    let request = ask("How long does a lease last?").with_max_tokens(4);
    let answer = ExtractiveProvider::new().complete(request).await.unwrap();
    assert_eq!((answer.finish_reason, answer.usage.output_tokens), (FinishReason::Length, 4));
    let mut stopping = ask("How long does a lease last?");
    stopping.stop = vec![" ten".to_owned()];
    let answer = ExtractiveProvider::new().complete(stopping).await.unwrap();
    assert_eq!((answer.finish_reason, answer.text().as_str()), (FinishReason::Stop, "It lasts"));
    assert_eq!(answer.usage.output_tokens, estimate_tokens("It lasts"));
}

#[tokio::test]
async fn what_quoting_cannot_do_is_refused_by_kind() {
    let provider = ExtractiveProvider::new();
    let mut tools = ask("lease owner");
    tools.tool_choice = ToolChoice::Required;
    let schema = agentscale_core::llm::ResponseFormat::JsonSchema {
        name: "answer".to_owned(),
        schema: Json::parse("{}").unwrap(),
    };
    for (request, kind) in [
        (tools, ErrorKind::Unsupported),
        (ask("lease owner").with_response_format(schema), ErrorKind::Unsupported),
        (ask("lease owner").with_model("gpt"), ErrorKind::NotFound),
        (CompletionRequest::new(vec![Message::system("only rules")]), ErrorKind::InvalidInput),
    ] {
        assert_eq!(provider.complete(request).await.unwrap_err().kind(), kind);
    }
}
