/// A model's privacy metadata that cannot be understood.
public struct PrivacyStatementError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        case missingKey
        case invalidValue
    }

    public let kind: Kind
    /// The metadata key, prefix included.
    public let key: String
    public let message: String

    public var description: String { message }
}

extension PrivacyStatement {
    /// What every metadata key of a statement begins with.
    public static let keyPrefix = "dponnx.privacy."

    /// What the status of a model without a guarantee begins with.
    public static let notPrivateStamp = "NOT PRIVATE"

    private enum Key: String {
        case status, unit, adjacency, sampler, steps, accountant, order, epsilon, delta
        case unitMeaning = "unit-meaning"
        case adjacencyMeaning = "adjacency-meaning"
        case datasetSize = "dataset-size"
        case samplingRate = "sampling-rate"
        case expectedBatchSize = "expected-batch-size"
        case largestBatch = "largest-batch"
        case mechanism, subsets, bands, restarts
        case noiseMultiplier = "noise-multiplier"
        case roundingShare = "rounding-share"
        case clippingNorm = "clip-norm"
        case clippingFunction = "clipping-function"
        case clippingStyle = "clipping-style"
        case clippingNormMeaning = "clip-norm-meaning"
        case adaptiveQuantile = "adaptive-clipping-quantile"
        case adaptiveRate = "adaptive-clipping-rate"
        case countNoise = "count-noise"
        case gradientNoiseMultiplier = "gradient-noise-multiplier"
        case nominalEpsilon = "nominal-epsilon"
        case assumedPublic = "assumed-public"
        case uncovered = "not-covered"

        var name: String { keyPrefix + rawValue }
    }

    /// The entries for a model's metadata. Numbers are written with all their digits.
    ///
    /// A model without a guarantee has no `epsilon` entry, which a reader could take for one, but a `nominal-epsilon`.
    public func metadata() -> [String: String] {
        var entries: [Key: String] = [
            .status: isPrivate ? "private" : Self.notPrivateStamp,
            .unit: mechanism.unit,
            .unitMeaning: unitMeaning,
            .adjacency: mechanism.adjacency.rawValue,
            .adjacencyMeaning: adjacencyMeaning,
            .datasetSize: "\(mechanism.datasetSize)",
            .sampler: mechanism.sampler.name,
            .samplingRate: "\(mechanism.sampler.samplingRate)",
            .expectedBatchSize: "\(mechanism.expectedBatchSize)",
            .noiseMultiplier: "\(mechanism.noiseMultiplier)",
            .clippingNorm: "\(mechanism.clippingNorm)",
            .clippingFunction: clippingFunction,
            .clippingStyle: clippingStyle,
            .steps: "\(mechanism.steps)",
            .accountant: accountant.rawValue,
            .delta: "\(bound.delta)",
            .assumedPublic: Self.assumedPublic,
            .uncovered: Self.uncovered,
        ]
        if let adaptive = mechanism.adaptiveClipping {
            entries[.clippingNormMeaning] =
                "that of the first step; then it follows a quantile of norms by noisy counts, which the noise multiplier "
                + "includes"
            entries[.adaptiveQuantile] = "\(adaptive.quantile)"
            entries[.adaptiveRate] = "\(adaptive.rate)"
            entries[.countNoise] = "\(adaptive.countNoise)"
            entries[.gradientNoiseMultiplier] = "\(mechanism.gradientNoiseMultiplier)"
        }
        if case .cyclicPoisson(_, let subsets) = mechanism.sampler { entries[.subsets] = "\(subsets)" }
        if let bands = mechanism.bands {
            entries[.mechanism] = Self.banded
            entries[.bands] = "\(bands)"
            if !mechanism.restarts.isEmpty {
                entries[.restarts] = mechanism.restarts.map { "\($0)" }.joined(separator: " ")
            }
        }
        if let largest = mechanism.sampler.largestBatch { entries[.largestBatch] = "\(largest)" }
        if mechanism.noiseMultiplier > 0 { entries[.roundingShare] = "\(mechanism.roundingShare)" }
        if !reasonsNotPrivate.isEmpty {
            entries[.status] = "\(Self.notPrivateStamp): " + reasonsNotPrivate.joined(separator: "; ")
        }
        entries[isPrivate ? .epsilon : .nominalEpsilon] = "\(bound.epsilon)"
        if let order = bound.order { entries[.order] = "\(order)" }
        return Dictionary(uniqueKeysWithValues: entries.map { ($0.key.name, $0.value) })
    }

    /// Reads the statement in a model's metadata; nil when there is none.
    ///
    /// Other entries, and keys of later versions under the same prefix, are ignored.
    /// - Throws: ``PrivacyStatementError`` for a statement with an entry missing or not understood.
    public init?(metadata: [String: String]) throws(PrivacyStatementError) {
        guard metadata.keys.contains(where: { $0.hasPrefix(Self.keyPrefix) }) else { return nil }
        let reader = MetadataReader(entries: metadata)
        let status = try reader.text(Key.status.name)
        let isPrivate = status == "private"
        guard isPrivate || status.hasPrefix(Self.notPrivateStamp) else { throw reader.invalid(Key.status.name) }
        let rate = try reader.number(Key.samplingRate.name) { (0...1).contains($0) }
        let noise = try reader.number(Key.noiseMultiplier.name) { $0 >= 0 && $0.isFinite }
        let mechanism = PrivacyMechanism(
            sampler: try Self.sampler(reader, rate: rate),
            clippingNorm: try reader.number(Key.clippingNorm.name) { $0 > 0 && (noise == 0 || $0.isFinite) },
            noiseMultiplier: noise,
            steps: try reader.value(Key.steps.name) { Int($0).flatMap { $0 >= 0 ? $0 : nil } },
            datasetSize: try reader.value(Key.datasetSize.name) { Int($0).flatMap { $0 > 0 ? $0 : nil } },
            adjacency: try reader.value(Key.adjacency.name, Adjacency.init(rawValue:)),
            unit: try reader.text(Key.unit.name), adaptiveClipping: try Self.adaptiveClipping(reader, noise: noise),
            bands: try Self.bands(reader)
        ).restarted(try Self.restarts(reader))
        let epsilonKey = (isPrivate ? Key.epsilon : .nominalEpsilon).name
        let bound = PrivacyBound(
            epsilon: try reader.number(epsilonKey) { $0 >= 0 && ($0.isFinite || !isPrivate) },
            delta: try reader.number(Key.delta.name) { (0...1).contains($0) },
            order: metadata[Key.order.name] == nil ? nil : try reader.number(Key.order.name) { $0 > 1 })
        self.init(
            mechanism: mechanism, clippingFunction: try reader.text(Key.clippingFunction.name),
            clippingStyle: try reader.text(Key.clippingStyle.name),
            accountant: try reader.value(Key.accountant.name, PrivacyAccountant.init(rawValue:)),
            bound: bound, reasonsNotPrivate: Self.reasons(status))
    }

    private static let banded = "bandmf"

    private static func bands(_ reader: MetadataReader) throws(PrivacyStatementError) -> Int? {
        guard let mechanism = reader.entries[Key.mechanism.name] else { return nil }
        guard mechanism == banded, reader.entries[Key.adaptiveQuantile.name] == nil else {
            throw reader.invalid(Key.mechanism.name)
        }
        let subsets = try reader.value(Key.subsets.name) { Int($0) }
        return try reader.value(Key.bands.name) { Int($0).flatMap { $0 > 0 && $0 <= subsets ? $0 : nil } }
    }

    private static func restarts(_ reader: MetadataReader) throws(PrivacyStatementError) -> [Int] {
        guard reader.entries[Key.restarts.name] != nil else { return [] }
        return try reader.value(Key.restarts.name) { text in
            let counts = text.split(separator: " ").map { Int($0) ?? 0 }
            return counts.allSatisfy { $0 > 0 && $0 < 1 << 40 } ? counts : nil
        }
    }

    private static func adaptiveClipping(_ reader: MetadataReader, noise: Double) throws(PrivacyStatementError)
        -> AdaptiveClipping?
    {
        guard reader.entries[Key.adaptiveQuantile.name] != nil else { return nil }
        let clipping = AdaptiveClipping(
            quantile: try reader.number(Key.adaptiveQuantile.name) { (0...1).contains($0) },
            rate: try reader.number(Key.adaptiveRate.name) { $0 > 0 && $0.isFinite },
            countNoise: try reader.number(Key.countNoise.name) { $0 > 0 && $0.isFinite })
        guard clipping.gradientNoiseMultiplier(together: noise) != nil else {
            throw reader.invalid(Key.countNoise.name)
        }
        return clipping
    }

    private static func sampler(_ reader: MetadataReader, rate: Double) throws(PrivacyStatementError) -> BatchSampler {
        switch try reader.text(Key.sampler.name) {
        case "poisson": return .poisson(rate: rate)
        case "full" where rate == 1: return .full
        case "truncated-poisson":
            let largest = try reader.value(Key.largestBatch.name) { Int($0).flatMap { $0 > 0 ? $0 : nil } }
            return .truncatedPoisson(rate: rate, largestBatch: largest)
        case "cyclic-poisson":
            let subsets = try reader.value(Key.subsets.name) { Int($0).flatMap { $0 > 0 && $0 < 1 << 40 ? $0 : nil } }
            return .cyclicPoisson(rate: rate, subsets: subsets)
        default: throw reader.invalid(Key.sampler.name)
        }
    }

    private static func reasons(_ status: String) -> [String] {
        let stamp = notPrivateStamp + ": "
        guard status.hasPrefix(stamp) else { return [] }
        var (reasons, rest) = ([String](), status.dropFirst(stamp.count))
        while let comma = rest.firstRange(of: "; ") {
            reasons.append(String(rest[..<comma.lowerBound]))
            rest = rest[comma.upperBound...]
        }
        return reasons + [String(rest)]
    }
}

/// Looks metadata entries up and says which one is wrong.
private struct MetadataReader {
    let entries: [String: String]

    func text(_ key: String) throws(PrivacyStatementError) -> String {
        guard let text = entries[key] else {
            throw PrivacyStatementError(
                kind: .missingKey, key: key,
                message: "metadata_props: the privacy statement lacks \(key); take its guarantee as absent")
        }
        return text
    }

    func value<Value>(_ key: String, _ parse: (String) -> Value?) throws(PrivacyStatementError) -> Value {
        guard let value = parse(try text(key)) else { throw invalid(key) }
        return value
    }

    func number(_ key: String, where isValid: (Double) -> Bool) throws(PrivacyStatementError) -> Double {
        try value(key) { Double($0).flatMap { isValid($0) ? $0 : nil } }
    }

    func invalid(_ key: String) -> PrivacyStatementError {
        PrivacyStatementError(
            kind: .invalidValue, key: key,
            message: "metadata_props: \(key) has the value \"\(entries[key] ?? "")\", which a privacy statement cannot "
                + "have; take its guarantee as absent")
    }
}
