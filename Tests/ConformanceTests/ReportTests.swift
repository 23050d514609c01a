import ConformanceTesting
import Testing

@Suite struct ReportTests {
    private static func result(_ name: String, _ subject: String, _ outcome: TestOutcome) -> TestResult {
        TestResult(test: NodeTest(folder: "/tests/\(name)"), subject: subject, outcome: outcome)
    }

    private let report = ConformanceReport([
        result("test_add", "Add", .passed), result("test_add_bcast", "Add", .failed("differs")),
        result("test_cast_FLOAT_to_STRING", "Cast", .unsupported("text")),
    ])

    @Test func table() {
        #expect(
            report.table == """
                operator                          passed      failed unsupported
                Add                                    1           1           0
                Cast                                   0           0           1
                all                                    1           1           1
                """)
        #expect(
            report.problems == [
                "failed       test_add_bcast: differs", "unsupported  test_cast_FLOAT_to_STRING: text",
            ])
    }

    @Test func expectations() throws {
        let expectations = try Expectations(
            """
            # a list
            Add    # an operator

            test_mul_*
            except test_*_bcast: broken there
            shapes test_random*: random
            within 1e-6 test_mul_inverse: rounding
            """)
        #expect(expectations.expects("test_add", of: "Add"))
        #expect(!expectations.expects("test_add_bcast", of: "Add"))
        #expect(!expectations.expects("test_cast", of: "Cast"))
        #expect(expectations.expects("test_mul_example", of: "Mul"))
        #expect(!expectations.expects("test_mul_bcast", of: "Mul"))
        #expect(expectations.judgement(of: "test_add") == .strict)
        #expect(expectations.judgement(of: "test_random_like") == .shapes)
        #expect(expectations.judgement(of: "test_mul_inverse") == .elements(absolute: 1e-6))
        #expect(report.expected(by: expectations).results.map(\.test.name) == ["test_add"])
    }

    @Test(arguments: [
        "except test_add", "except test_add:", "except test_add:  ", "Add Sub", "shapes test_add", "within test_add: x",
        "within -1 test_add: x", "within 1e-6 test_add",
    ])
    func malformedExpectations(_ line: String) {
        let error = #expect(throws: ConformanceError.self) { try Expectations("Mul\n\(line)") }
        #expect(error?.description.contains("line 2") == true)
    }
}
