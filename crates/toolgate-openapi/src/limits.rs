//! How much of a document is read, and how much of it goes into one tool.

/// Caps. What is beyond them is left out with a reason, or cut where the rest stays true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one document.
    pub document_bytes: usize,
    /// Values in one document.
    pub nodes: usize,
    /// Nesting of a document.
    pub depth: usize,
    /// Values that YAML aliases may repeat.
    pub alias_values: usize,
    /// Documents that refer to each other.
    pub documents: usize,
    /// `$ref` that lead to a `$ref`, one after the other.
    pub ref_chain: usize,
    /// Operations.
    pub operations: usize,
    /// Parameters of one operation.
    pub parameters: usize,
    /// Bytes that the schemas of all tools should take together; where they would take more, each has its share.
    pub tools_bytes: usize,
    /// Bytes of one tool's `inputSchema`; definitions beyond are cut to their type.
    pub input_schema_bytes: usize,
    /// Bytes of one tool's `outputSchema`, likewise.
    pub output_schema_bytes: usize,
    /// Bytes of one schema without what it refers to.
    pub definition_bytes: usize,
    /// Bytes of one `pattern`; a longer one is left out.
    pub pattern_bytes: usize,
    /// Bytes of a description; a longer one is cut.
    pub description_bytes: usize,
    /// Nesting of a call's arguments.
    pub argument_depth: usize,
    /// Values in a call's arguments.
    pub argument_nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes: 64 * 1024 * 1024,
            nodes: 8_000_000,
            depth: 96,
            alias_values: 500_000,
            documents: 500,
            ref_chain: 32,
            operations: 50_000,
            parameters: 500,
            tools_bytes: 128 * 1024 * 1024,
            input_schema_bytes: 256 * 1024,
            output_schema_bytes: 32 * 1024,
            definition_bytes: 512 * 1024,
            pattern_bytes: 2_048,
            description_bytes: 16 * 1024,
            argument_depth: 96,
            argument_nodes: 1_000_000,
        }
    }
}
