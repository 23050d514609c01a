import Testing

@Suite struct DPONNXTestsPlaceholder {}
