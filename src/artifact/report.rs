//! Which files of an archive are reports. A guess by names, since the archive does not tell.
//!
//! Source of names: the defaults that GitLab's documentation gives for `artifacts:reports`
//! (<https://docs.gitlab.com/ci/yaml/artifacts_reports/>) and those of the tools that write them.

/// File types of a job whose reports are XML.
const XML_TYPES: [&str; 3] = ["junit", "cobertura", "jacoco"];
/// Parts of paths of reports in XML.
const XML_WORDS: [&str; 10] = [
    "junit",
    "test",
    "report",
    "cobertura",
    "coverage",
    "jacoco",
    "xunit",
    "rspec",
    "result",
    "spec",
];
/// Parts of names of reports in JSON.
const JSON_WORDS: [&str; 16] = [
    "report",
    "gl-",
    "codequality",
    "code-quality",
    "code_quality",
    "codeclimate",
    "sast",
    "dast",
    "secret-detection",
    "secret_detection",
    "dependency-scanning",
    "container-scanning",
    "license",
    "sbom",
    "cyclonedx",
    "tfplan",
];

/// Tells whether a file is a report, given the types of the job's files as the server lists them.
pub fn is_report(path: &str, file_types: &[String]) -> bool {
    let path = path.to_ascii_lowercase();
    let name = path.rsplit('/').next().unwrap_or_default();
    let listed = |types: &[&str]| file_types.iter().any(|t| types.contains(&t.as_str()));
    let has = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "xml" => listed(&XML_TYPES) || has(&path, &XML_WORDS),
        "json" => has(name, &JSON_WORDS),
        "sarif" => true,
        "env" => listed(&["dotenv"]) || name == "build.env" || name == ".env",
        "txt" => listed(&["metrics"]) && name == "metrics.txt",
        _ => false,
    }
}
