import Testing

@Suite struct ONNXFormatTestsPlaceholder {}
