import Testing

@Suite struct ExecutionTestsPlaceholder {}
