import Testing

@Suite struct TrainingTestsPlaceholder {}
