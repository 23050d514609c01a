import Testing

@Suite struct OperatorsTestsPlaceholder {}
