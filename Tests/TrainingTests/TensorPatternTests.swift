import Foundation
import TensorGraph
import Testing

@testable import Training

@Suite struct TensorPatternTests {
    /// [length, width] of f(position * w_i), two columns for each frequency w_i = base^(-2i/width).
    private func table(_ length: Int, _ width: Int, base: Double = 10000, _ f: (Int, Double) -> Double) -> Constant {
        var values: [Float] = []
        for position in 0..<length {
            for column in 0..<width {
                let angle = Double(position) * pow(base, -Double(2 * (column / 2)) / Double(width))
                values.append(Float(f(column, angle)))
            }
        }
        return Constant(values, shape: [length, width])
    }

    @Test func sinesAndCosinesAreRecognized() {
        let interleaved = table(512, 64) { $0.isMultiple(of: 2) ? sin($1) : cos($1) }
        #expect(TensorPattern.isSinusoidal(interleaved))
        #expect(TensorPattern.isSinusoidal(table(4, 4) { _, angle in cos(angle) }))
        #expect(TensorPattern.isSinusoidal(table(2048, 16) { _, angle in sin(angle) }))
        // With the positions on another axis, and rounded to half precision.
        let rounded = interleaved.floatValues.map { Float(Float16($0)) }
        #expect(TensorPattern.isSinusoidal(Constant(rounded, shape: [1, 512, 1, 64])))
        var columns = [Float](repeating: 0, count: 64 * 512)
        for row in 0..<512 {
            for column in 0..<64 { columns[column * 512 + row] = interleaved.floatValues[row * 64 + column] }
        }
        #expect(TensorPattern.isSinusoidal(Constant(columns, shape: [64, 512])))
    }

    @Test func weightsAreNoTables() {
        #expect(
            !TensorPattern.isSinusoidal(Constant(ParameterModels.irregular([16, 8]).map { $0 / 2 }, shape: [16, 8])))
        #expect(!TensorPattern.isSinusoidal(Constant([Float](repeating: 1, count: 64), shape: [8, 8])))
        #expect(!TensorPattern.isSinusoidal(Constant([Float](repeating: 0, count: 64), shape: [8, 8])))
        let identity = (0..<64).map { Float($0 % 9 == 0 ? 1 : 0) }
        #expect(!TensorPattern.isSinusoidal(Constant(identity, shape: [8, 8])))
        // One trained entry is enough.
        let trained = table(8, 4) { _, angle in cos(angle) }.floatValues.enumerated().map { $0 == 13 ? $1 - 0.1 : $1 }
        #expect(!TensorPattern.isSinusoidal(Constant(trained, shape: [8, 4])))
    }

    @Test func progressions() {
        let grid = Constant((0..<8).map { -1 + Float($0) * 2 / 7 })
        #expect(TensorPattern.isEvenlySpaced(grid))
        #expect(TensorPattern.isEvenlySpaced(Constant(grid.floatValues + grid.floatValues, shape: [2, 8, 1])))
        #expect(!TensorPattern.isEvenlySpaced(Constant(grid.floatValues + grid.floatValues.reversed(), shape: [2, 8])))
        #expect(!TensorPattern.isEvenlySpaced(Constant([1, 2] as [Float])))
        #expect(!TensorPattern.isEvenlySpaced(Constant([1, 1, 1] as [Float])))
        #expect(!TensorPattern.isEvenlySpaced(Constant([1, 2, 3.0001] as [Float])))
        #expect(TensorPattern.isGeometric(Constant((0..<6).map { Float(pow(10000, -Double($0) / 6)) })))
        #expect(TensorPattern.isGeometric(Constant([0.5, 0.25] as [Float], shape: [2, 1, 1])))
        #expect(!TensorPattern.isGeometric(Constant([0.5, 0.3] as [Float])))
        #expect(!TensorPattern.isGeometric(Constant([1, 1] as [Float])))
        #expect(!TensorPattern.isGeometric(Constant([1, 2, 5] as [Float])))
    }

    @Test func symmetricMatrices() {
        let transform = (0..<25).map { Float(cos(2 * Double.pi * Double($0 / 5 * ($0 % 5)) / 5)) }
        #expect(TensorPattern.isSymmetric(Constant(transform, shape: [5, 5])))
        let adjacency: [Float] = [0, 1, 1, 1, 0, 0.5, 1, 0.5, 0]
        #expect(TensorPattern.isSymmetric(Constant(adjacency, shape: [3, 3])))
        var rounded = transform
        rounded[7] += 3e-7
        #expect(TensorPattern.isSymmetric(Constant(rounded, shape: [5, 5])))
        rounded[7] += 3e-4
        #expect(!TensorPattern.isSymmetric(Constant(rounded, shape: [5, 5])))
        #expect(!TensorPattern.isSymmetric(Constant([1, 0, 0, 0, 2, 0, 0, 0, 3] as [Float], shape: [3, 3])))
        #expect(!TensorPattern.isSymmetric(Constant([Float](repeating: 0, count: 9), shape: [3, 3])))
        #expect(!TensorPattern.isSymmetric(Constant(ParameterModels.irregular([3, 3]), shape: [3, 3])))
    }

    @Test func incidences() {
        #expect(TensorPattern.isIncidence(Constant([0, 1, 0, 0, 0, 0.5, 0, 0, 2] as [Float], shape: [3, 3])))
        let rows: [Float] = [0, 0.5, 0.5, 0, 1, 0, 0.3, 0.3, 0.4]
        #expect(TensorPattern.isIncidence(Constant(rows, shape: [3, 3])))
        #expect(!TensorPattern.isIncidence(Constant([0, 1, 2, 0, 1, 0, 3, 3, 4] as [Float], shape: [3, 3])))
        #expect(!TensorPattern.isIncidence(Constant((0..<12).map(Float.init), shape: [3, 4])))
        #expect(!TensorPattern.isIncidence(Constant([0, -1, 0, 0, 0, 0.5, 0, 0, 2] as [Float], shape: [3, 3])))
        #expect(!TensorPattern.isIncidence(Constant([1, 0, 0, 0, 2, 0, 0, 0, 3] as [Float], shape: [3, 3])))
        #expect(!TensorPattern.isIncidence(Constant([0, 1, 0, 0] as [Float], shape: [2, 2])))
    }

    @Test func stencils() {
        let sobel: [Float] = [-1, 0, 1, -2, 0, 2, -1, 0, 1]
        let laplace: [Float] = [0, 1, 0, 1, -4, 1, 0, 1, 0]
        #expect(TensorPattern.areStencils(Constant(sobel + laplace, shape: [2, 1, 3, 3])))
        #expect(!TensorPattern.areStencils(Constant(sobel + sobel.map { $0 + 1 }, shape: [2, 1, 3, 3])))
        #expect(!TensorPattern.areStencils(Constant(sobel.map { $0 / 8 }, shape: [1, 1, 3, 3])))
        #expect(!TensorPattern.areStencils(Constant(sobel, shape: [3, 3])))
        #expect(!TensorPattern.areStencils(Constant([Float](repeating: 0, count: 9), shape: [1, 1, 3, 3])))
    }

    @Test func masks() {
        #expect(TensorPattern.isAdditiveMask(Constant([0, -.infinity, 0, -1e9] as [Float])))
        #expect(TensorPattern.isAdditiveMask(Constant([-1e4, 0] as [Float])))
        #expect(!TensorPattern.isAdditiveMask(Constant([0, 0, 0] as [Float])))
        #expect(!TensorPattern.isAdditiveMask(Constant([0, -5000] as [Float])))
        #expect(TensorPattern.isSwitch(Constant([1, 0, 1] as [Float])))
        #expect(!TensorPattern.isSwitch(Constant([1, 1] as [Float])))
        #expect(!TensorPattern.isSwitch(Constant([1, 0, 2] as [Float])))
    }

    @Test func fills() {
        #expect(TensorPattern.fill(of: Constant([2, 2] as [Float])) == 2)
        #expect(TensorPattern.fill(of: Constant([2, 3] as [Float])) == nil)
        #expect(TensorPattern.fill(of: Constant([] as [Float])) == nil)
    }
}
