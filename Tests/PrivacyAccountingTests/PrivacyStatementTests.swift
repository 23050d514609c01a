import Testing

@testable import PrivacyAccounting

@Suite struct PrivacyMechanismTests {
    @Test func noiseAndEventComeFromOneValue() {
        let mechanism = PrivacyMechanism(
            poissonBatchOf: 2048, clippingNorm: 0.1, noiseMultiplier: 1.5, steps: 40, datasetSize: 60000)
        #expect(mechanism.noiseStandardDeviation == 1.5 * mechanism.sensitivity)
        // C and what rounding adds to it: 2^-10 for the grid, 2^-22 per row of the expected batch.
        #expect(abs(mechanism.sensitivity - 0.1 * (1 + 0x1p-10 + 2048 * 0x1p-22)) < 1e-15)
        #expect(mechanism.event == sampled(2048.0 / 60000, 1.5, 40))
        #expect(mechanism.event(steps: 7).count == 7)
        #expect(abs(mechanism.expectedBatchSize - 2048) < 1e-9)
    }

    @Test func noNoiseEvenWithoutClipping() {
        let mechanism = PrivacyMechanism(
            poissonBatchOf: 5, clippingNorm: .infinity, noiseMultiplier: 0, steps: 1, datasetSize: 10)
        #expect(mechanism.noiseStandardDeviation == 0)
    }
}

@Suite struct PrivacyStatementTests {
    private func statement(reasons: [String] = [], noise: Double = 1.1, clippingNorm: Double = 0.3) -> PrivacyStatement
    {
        PrivacyStatement(
            mechanism: PrivacyMechanism(
                poissonBatchOf: 100, clippingNorm: clippingNorm, noiseMultiplier: noise, steps: 321, datasetSize: 7001,
                adjacency: .zeroOut),
            clippingFunction: "abadi", clippingStyle: "flat", accountant: .rdp, delta: 1e-5, reasonsNotPrivate: reasons)
    }

    @Test func roundTrip() throws {
        for original in [
            statement(), statement(reasons: ["seeded generator", "non-private mode"]),
            statement(noise: 0, clippingNorm: .infinity),
        ] {
            var metadata = original.metadata()
            metadata["author"] = "somebody"
            #expect(try PrivacyStatement(metadata: metadata) == original)
            #expect(original.recomputedBound == original.bound)
        }
        let mechanism = statement().mechanism
        let tight = PrivacyStatement(
            mechanism: mechanism, clippingFunction: "abadi", clippingStyle: "flat", accountant: .pld, delta: 1e-5)
        #expect(try PrivacyStatement(metadata: tight.metadata()) == tight)
        #expect(tight.recomputedBound == tight.bound && tight.bound.epsilon < statement().bound.epsilon)
        #expect(try PrivacyStatement(metadata: ["author": "somebody"]) == nil)
    }

    @Test func entriesSayWhatAReaderNeeds() throws {
        let metadata = statement().metadata()
        #expect(metadata["dponnx.privacy.status"] == "private")
        #expect(metadata["dponnx.privacy.adjacency-meaning"] == "N public; zero-out adjacency")
        #expect(metadata["dponnx.privacy.unit"] == "one row of axis 0")
        #expect(metadata["dponnx.privacy.dataset-size"] == "7001")
        #expect(metadata["dponnx.privacy.sampling-rate"].flatMap(Double.init) == 100.0 / 7001)
        // The same run by dp-accounting 0.6, which is at most slightly above.
        let epsilon = try #require(metadata["dponnx.privacy.epsilon"].flatMap(Double.init))
        #expect(abs(epsilon - 1.549918) < 1e-4 * epsilon)
    }

    @Test func noEpsilonIsClaimedWithoutAGuarantee() {
        for unprotected in [statement(reasons: ["seeded generator"]), statement(noise: 0)] {
            let metadata = unprotected.metadata()
            #expect(metadata["dponnx.privacy.status"]?.hasPrefix("NOT PRIVATE") == true)
            #expect(metadata["dponnx.privacy.epsilon"] == nil)
            #expect(metadata["dponnx.privacy.nominal-epsilon"] != nil)
        }
    }

    @Test func tamperedEpsilonDisagreesWithItsMechanism() throws {
        var metadata = statement().metadata()
        metadata["dponnx.privacy.epsilon"] = "0.1"
        let read = try #require(try PrivacyStatement(metadata: metadata))
        #expect(read.recomputedBound.epsilon > 1)
    }

    @Test(arguments: [
        ("steps", nil), ("steps", "-4"), ("steps", "1.5"), ("sampling-rate", "2"), ("sampling-rate", "nan"),
        ("epsilon", "-1"), ("delta", "x"), ("accountant", "guess"), ("sampler", "shuffle"), ("status", "fine"),
        ("clip-norm", "0"), ("dataset-size", "0"), ("order", "0.5"), ("clipping-style", nil), ("epsilon", "inf"),
    ])
    func damagedEntriesAreNamed(key: String, value: String?) {
        var metadata = statement().metadata()
        metadata["dponnx.privacy." + key] = value
        let error = #expect(throws: PrivacyStatementError.self) { try PrivacyStatement(metadata: metadata) }
        #expect(error?.key == "dponnx.privacy." + key)
        #expect(error?.kind == (value == nil ? .missingKey : .invalidValue))
    }
}
