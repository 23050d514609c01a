import DPONNX
import Testing

/// Groups of rows as samples, on whole models.
@Suite struct GroupedRowsTests {
    private let pool = ThreadPool(threads: 2)
    /// Groups of three, one and one row, not next to each other.
    private static let users: [Int64] = [7, -2, 7, 30, 7]

    private func grouped(_ exported: ExportedModel, _ model: LoadedModel) throws -> DataSet {
        let rows = try exported.data(for: model)
        let users = NamedArray(name: "user", shape: [5], values: Self.users)
        return try DataSet(arrays: rows.keys.map { rows[$0] }, targetKey: rows.targetKey, groups: RowGroups(by: users))
    }

    /// Against ordinary gradients of one row at a time.
    @Test(arguments: ExportedModel.all, [ClippingMode.bookKeeping, .bookKeepingGhost, .ghost, .instantiate])
    func normsOfGroupsAreThoseOfTheirMeanLoss(_ exported: ExportedModel, _ mode: ClippingMode) throws {
        let model = try exported.load()
        let data = try grouped(exported, model)
        #expect(data.sampleCount == 3 && data.groups?.rows == [[0, 2, 4], [1], [3]])
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let trainable = try model.trainable(names, for: data, InputOptions())
        func engine(_ mode: ClippingMode, _ data: DataSet, rows: Int) throws -> GradientEngine {
            try GradientEngine(
                trainable, loss: LossSpecification(), clipping: ClippingOptions(mode: mode, clippingNorm: 0.3),
                data: data, batchSize: trainable.sizes.batchSize(wished: rows),
                parameters: trainable.makeParameters(), pool: pool)
        }
        let single = try engine(.nonPrivate, try exported.data(for: model), rows: 2)
        var losses: [Double] = []
        var gradients: [[String: [Double]]] = []
        for rows in data.groups!.rows {
            var (loss, gradient) = (0.0, [String: [Double]]())
            for row in rows {
                single.reset()
                loss += Double(try single.accumulate([row])[0].loss) / Double(rows.count)
                for name in names {
                    let own = single.sum(of: name).map { Double($0) / Double(rows.count) }
                    gradient[name] = gradient[name].map { zip($0, own).map(+) } ?? own
                }
            }
            losses.append(loss)
            gradients.append(gradient)
        }
        let norms = gradients.map { $0.values.joined().reduce(0) { $0 + $1 * $1 }.squareRoot() }
        // Physical batches that hold the largest group, and ones that do not, as far as the model lets choose.
        for rows in [3, 2] {
            let joined = try engine(mode, data, rows: rows)
            // In another order, of which the report does not depend.
            let samples = try joined.accumulate([1, 0, 2])
            let order = [1, 0, 2]
            #expect(largestError(samples.map(\.loss), order.map { losses[$0] }) < 1e-4)
            #expect(largestError(samples.map { $0.norm! }, order.map { norms[$0] }) < 2e-4)
            for name in names {
                let expected = gradients[0][name]!.indices.map { index in
                    (0..<3).reduce(0) { $0 + min(1, 0.3 / norms[$1]) * gradients[$1][name]![index] }
                }
                #expect(largestError(Array(joined.sum(of: name)), expected, floor: 3e-4) < 1e-3, "\(name), \(rows)")
            }
        }
    }

    /// Every style and function clips a group that is computed in parts as it clips one that is computed at once.
    @Test(arguments: [
        ClippingOptions(style: .flat, clippingNorm: 0.1), ClippingOptions(style: .layerWise, clippingNorm: 0.1),
        ClippingOptions(style: .parameterWise, clippingNorm: 0.1),
        ClippingOptions(function: .automatic(gamma: 0.01), clippingNorm: 0.1),
        ClippingOptions(function: .normalized, style: .layerWise, clippingNorm: 0.1),
        ClippingOptions(function: .global(bound: 100), clippingNorm: 0.1),
        ClippingOptions(mode: .nonPrivate), ClippingOptions(clippingNorm: .infinity),
    ]) func partsOfAGroupAreClippedTogether(_ clipping: ClippingOptions) throws {
        let exported = ExportedModel("vit")
        let model = try exported.load()
        let data = try grouped(exported, model)
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let trainable = try model.trainable(names, for: data, InputOptions())
        let engines = try [3, 2].map {
            try GradientEngine(
                trainable, loss: LossSpecification(), clipping: clipping, data: data, batchSize: $0,
                parameters: trainable.makeParameters(), pool: pool)
        }
        let (whole, parts) = (engines[0], engines[1])
        let expected = try whole.accumulate([0, 2])
        let found = try parts.accumulate([0, 2])
        #expect(largestError(found.map(\.loss), expected.map { Double($0.loss) }) < 1e-5)
        #expect(
            largestError(found.flatMap(\.factors), expected.flatMap(\.factors).map(Double.init)) < 1e-4)
        #expect(found.map { $0.norm == nil } == expected.map { $0.norm == nil })
        for name in names {
            let sum = whole.sum(of: name).map(Double.init)
            #expect(largestError(Array(parts.sum(of: name)), sum, floor: 1e-4) < 1e-3, "\(name)")
        }
        // A group by itself is no longer than C.
        guard clipping.mode != .nonPrivate, clipping.clippingNorm.isFinite else { return }
        parts.reset()
        _ = try parts.accumulate([0])
        let square = names.reduce(0.0) { $0 + parts.sum(of: $1).reduce(0) { $0 + Double($1) * Double($1) } }
        #expect(square.squareRoot() <= 0.1 * (1 + 1e-6))
    }

    @Test func aGroupInPartsWithARowThatIsNotFiniteIsLeftOut() throws {
        let exported = ExportedModel("mlp")
        let model = try exported.load()
        let rows = try exported.data(for: model)
        var values = [Float](repeating: 0, count: 30)
        values.withUnsafeMutableBufferPointer { rows["x"].gather(rows: Array(0..<5), into: $0) }
        values[4 * 6] = .nan
        let data = try DataSet(
            arrays: [NamedArray(name: "x", shape: [5, 6], values: values), rows["labels"]], targetKey: "labels",
            groups: RowGroups(by: NamedArray(name: "user", shape: [5], values: Self.users)))
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let trainable = try model.trainable(names, for: data, InputOptions())
        func engine() throws -> GradientEngine {
            try GradientEngine(
                trainable, loss: LossSpecification(), clipping: ClippingOptions(clippingNorm: 0.3), data: data,
                batchSize: 2, parameters: trainable.makeParameters(), pool: pool)
        }
        let (all, others) = (try engine(), try engine())
        let samples = try all.accumulate([0, 1, 2])
        #expect(samples[0].factors == [0] && samples[1].factors[0] > 0 && samples[2].factors[0] > 0)
        _ = try others.accumulate([1, 2])
        for name in names { #expect(Array(all.sum(of: name)) == Array(others.sum(of: name)), "\(name)") }
    }
}
