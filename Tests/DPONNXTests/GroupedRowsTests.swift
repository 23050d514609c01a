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
                data: data, batchSize: rows, parameters: trainable.makeParameters(), pool: pool)
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
        let joined = try engine(mode, data, rows: 3)
        // In another order, of which the report does not depend.
        let samples = try joined.accumulate([1, 0, 2])
        let order = [1, 0, 2]
        #expect(largestError(samples.map(\.loss), order.map { losses[$0] }) < 1e-4)
        #expect(largestError(samples.map { $0.norm! }, order.map { norms[$0] }) < 2e-4)
        for name in names {
            let expected = gradients[0][name]!.indices.map { index in
                (0..<3).reduce(0) { $0 + min(1, 0.3 / norms[$1]) * gradients[$1][name]![index] }
            }
            #expect(largestError(Array(joined.sum(of: name)), expected, floor: 3e-4) < 1e-3, "\(name)")
        }
    }

    @Test func groupsThatDoNotFitAreRefused() throws {
        let exported = ExportedModel("mlp")
        let model = try exported.load()
        let data = try grouped(exported, model)
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let trainable = try model.trainable(names, for: data, InputOptions())
        let error = #expect(throws: DataError.self) {
            try GradientEngine(
                trainable, loss: LossSpecification(), clipping: ClippingOptions(), data: data, batchSize: 2,
                parameters: trainable.makeParameters(), pool: pool)
        }
        #expect(error?.message.contains("'user' has 3 rows, more than the 2 computed at once") == true)
    }
}
