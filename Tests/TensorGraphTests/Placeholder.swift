import Testing

@Suite struct TensorGraphTestsPlaceholder {}
